-- Knows which requests to Ollama are in flight, and limits how many of them one caller has: proxy_max_streams_per_caller.
-- A connection to Ollama does not show it, since httpd keeps idle ones: docs/decisions/0045.
-- `LuaScope server 1 1` in httpd.conf makes this the only Lua state of the process, and one function runs at a time: so
-- the tables need no lock, and a process that dies takes its counts with it.

local started, number = os.time(), 0
local in_flight = {} -- ids of requests
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

-- Whether the caller has as many responses in progress as it may have.
local function takes_too_much(r, limit)
  local name = caller(r)
  local count = streams[name] or 0
  if count >= limit then
    r.subprocess_env["BUSY"] = name .. " has " .. count .. " response" .. (count > 1 and "s" or "")
      .. " in progress, the limit for one caller"
    return true
  end
  streams[name] = count + 1
  r.notes["caller"] = name
  return false
end

local function remember(r, kind)
  number = number + 1
  -- With the time, it differs from those of an earlier process.
  local id = kind .. started .. "-" .. number
  in_flight[id] = true
  r.notes["request"] = id
end

function begin_request(r)
  local limit = r.subprocess_env["CALLER_STREAMS"]
  if limit and takes_too_much(r, tonumber(limit)) then
    return 503
  end
  remember(r, "")
  return apache2.DECLINED
end

-- To a provider in the internet: it takes no slot of Ollama, whose health check must not see it as stuck. This runs after
-- sign-in, so a later 401 or 403 is the provider's.
function begin_provider_request(r)
  local limit = r.subprocess_env["CALLER_STREAMS"]
  if limit then
    if takes_too_much(r, tonumber(limit)) then
      return 503
    end
    r.subprocess_env["BUSY"] = "the provider is not reachable, or busy"
  end
  r.subprocess_env["AT_PROVIDER"] = "1"
  r.subprocess_env["REFUSED"] = "the provider refused this request (403)"
  return apache2.DECLINED
end

-- The body of a 401 on the path of a provider, in the form of its protocol.
function explain_unauthorized(r)
  if not r.subprocess_env["REDIRECT_STATUS"] then
    return 404 -- requested as such
  end
  local message, kind, code = "sign in, or send an API key of this host (Authorization: Bearer KEY, or X-Api-Key: KEY)",
    "authentication_error", "invalid_api_key"
  if r.subprocess_env["REDIRECT_AT_PROVIDER"] then
    r.status = 502
    message, kind, code = "the provider refused the key of this host; correct it in proxy_providers, and deploy again",
      "api_error", "provider_refused_key"
  end
  local form = '{"error":{"message":"%s","type":"%s","param":null,"code":"%s"}}'
  if r.args == "anthropic" then
    form = '{"type":"error","error":{"message":"%s","type":"%s"}}'
  end
  r.content_type = "application/json"
  r:puts(form:format(message, kind, code))
  return apache2.OK
end

-- Model files: they take no slot.
function begin_upload(r)
  remember(r, "upload-")
  return apache2.DECLINED
end

-- Runs when the request is logged, which httpd does for every request, however it ends.
function end_request(r)
  local id = r.notes["request"]
  if id then
    in_flight[id] = nil
  end
  local name = r.notes["caller"]
  if name then
    local count = streams[name] - 1
    streams[name] = count > 0 and count or nil
  end
  return apache2.DECLINED
end

-- Their ids, in one line: for Ollama's health check, and programs on the host.
function list_requests(r)
  local ids = {}
  for id in pairs(in_flight) do
    ids[#ids + 1] = id
  end
  r.content_type = "text/plain"
  r:puts(table.concat(ids, " ") .. "\n")
  return apache2.OK
end
