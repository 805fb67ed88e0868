-- Limits how many responses one caller streams at the same time: proxy_max_streams_per_caller.
-- `LuaScope server 1 1` in httpd.conf makes this the only Lua state of the process, and one function runs at a time: so
-- the table needs no lock, and a process that dies takes its counts with it.

local streams = {} -- caller → its responses in progress; callers without any have no entry

-- IPv6 networks give each device as many addresses as it wants, all in one /64.
local function network(address)
  if not address:find(":", 1, true) then
    return address
  end
  local groups = {}
  local left, right = address:match("^(.*)::(.*)$")
  for group in (left or address):gmatch("%x+") do
    groups[#groups + 1] = group
  end
  if left then
    local _, after = right:gsub("%x+", "")
    for _ = #groups + after + 1, 8 do
      groups[#groups + 1] = "0"
    end
    for group in right:gmatch("%x+") do
      groups[#groups + 1] = group
    end
  end
  return table.concat(groups, ":", 1, 4) .. "::/64"
end

local function caller(r)
  if r.user then
    return "user " .. r.user
  end
  local program = r.subprocess_env["PROGRAM"]
  if program then
    return "API client " .. program
  end
  return "address " .. network(r.useragent_ip)
end

function take_slot(r)
  local name = caller(r)
  local count = streams[name] or 0
  if count >= tonumber(r.subprocess_env["CALLER_STREAMS"]) then
    r.subprocess_env["BUSY"] = name .. " has " .. count .. " response" .. (count > 1 and "s" or "")
      .. " in progress, the limit for one caller"
    return 503
  end
  streams[name] = count + 1
  r.notes["caller"] = name
  return apache2.DECLINED
end

-- Runs when the request is logged, which httpd does for every request, however it ends.
function free_slot(r)
  local name = r.notes["caller"]
  if name then
    local count = streams[name] - 1
    streams[name] = count > 0 and count or nil
  end
  return apache2.DECLINED
end
