local wanted, millis = ARGV[1], tonumber(ARGV[2])
local next_fence
if owner then
  local left = ends - now
  if owner == wanted then
    next_fence = lease
  elseif left > 0 and left <= length then
    return found({ 0, left })
  end
end
if not next_fence then
  next_fence = math.max(given, marked, fence or 0) + 1
  next_fence = math.min(math.max(next_fence, now), 9007199254740991)
end
write('given', whole(math.max(given, next_fence)), 'owner', wanted, 'lease', whole(next_fence),
  'ends', whole(now + millis), 'length', whole(millis))
keep(millis)
return found({ 1, next_fence })
