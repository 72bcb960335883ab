local mine, of, has_record, left, record = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4]), ARGV[5]
if has_record and (not fence or fence < of) then
  write('fence', whole(of), 'written', whole(now), 'record', record)
  keep(left)
end
if owner == mine then redis.call('HDEL', key, 'owner', 'lease', 'ends', 'length') end
hint()
return 1
