-- wrk: each request has one event of the workshop's kind, with a key of its own.
local headers = { ["Content-Type"] = "application/x-ndjson" }
local event = '{"TradeID":"%s","Value":%d.%02d,"Version":1,"Timestamp":1616413258.8997,' ..
  '"Hierarchy":{"RiskType":"Delta","Region":"AMER","TradeDesk":"FXSpot"}}\n'
local run, number = "", 0

function init(arguments)
  run = arguments[1]
end

function request()
  number = number + 1
  local key = string.format("%s-%027d", run, number)
  return wrk.format("POST", "/events", headers, string.format(event, key, number % 100000, number % 100))
end

function done(summary, latency)
  io.write(string.format('{"answers": %d, "errors": %d, "seconds": %.6f, "median": %.6f, "p99": %.6f}\n',
    summary.requests, summary.errors.status + summary.errors.read + summary.errors.write + summary.errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
