-- Requests of wrk, and the summary it prints. PATHS is a file of paths to request in turn. FLOW is a file with a basket, which is
-- checked and confirmed, and its order is requested. wrk runs one thread, so all connections share the queues. THINK_TIME_MS is the
-- mean delay of each request of a connection; delays vary by half of it, so that connections do not send in step.
local headers = { ["Authorization"] = "Bearer " .. os.getenv("TOKEN"), ["Content-Type"] = "application/json" }
local extra = os.getenv("HEADER")
if extra then headers["x-jwt-payload"] = extra end
headers["traceparent"] = os.getenv("TRACEPARENT")
local paths, index, basket = {}, 0, nil
local checks, orders = {}, {}

function init()
  if os.getenv("FLOW") then
    basket = io.open(os.getenv("FLOW")):read("*a")
  else
    for line in io.lines(os.getenv("PATHS")) do paths[#paths + 1] = line end
    index = math.floor(tonumber(os.getenv("START") or "0") % #paths)
  end
end

function request()
  if not basket then
    index = index % #paths + 1
    return wrk.format("GET", paths[index], headers)
  end
  if #orders > 0 then return wrk.format("GET", "/api/v1/orders/" .. table.remove(orders), headers) end
  if #checks > 0 and not os.getenv("ONLY_CHECK") then
    return wrk.format("POST", "/api/v1/orders", headers, '{"check_id":"' .. table.remove(checks) .. '"}')
  end
  return wrk.format("POST", "/api/v1/order-checks", headers, basket)
end

if os.getenv("FLOW") and not os.getenv("ONLY_CHECK") then
  function response(status, _, body)
    if status ~= 201 then return end
    local order = body:match('"order":{"id":"([%w_-]+)"')
    if order then orders[#orders + 1] = order return end
    local check = body:match('"check_id":"([%w_-]+)"')
    if check then checks[#checks + 1] = check end
  end
end

local think_time_ms = tonumber(os.getenv("THINK_TIME_MS") or "0")
if think_time_ms > 0 then
  function delay() return math.random(think_time_ms / 2, think_time_ms * 3 / 2) end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"rejected":%d,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, errors.status,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
