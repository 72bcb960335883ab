local of = tonumber(ARGV[1])
if of <= given and of > marked then write('marked', whole(of)) end
hint()
return 1
