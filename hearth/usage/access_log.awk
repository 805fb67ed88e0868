# Sums the lines of httpd's access log by day and caller: day, kind of caller, caller, requests, seconds, bytes received,
# bytes sent, separated by tabs. The format is that of httpd.conf, with or without the two fields of who signed in. Other
# lines are skipped. Without regular expressions like {3}, which Debian 12's mawk does not have.
{
  # The quote that ends the request line has no backslash before it, so no request can imitate what follows.
  if (!match($0, /[^\\]" [0-9][0-9][0-9] [0-9]+ [0-9]+ [0-9]+ [-X+] "/)) next
  split(substr($0, RSTART + 3, RLENGTH - 3), number, " ")
  if (!(begin = index($0, " ["))) next
  words = split(substr($0, 1, begin - 1), who, " ")
  if (words == 3 && who[2] != "-") caller = "user\t" who[2]
  else if (words == 3 && who[3] != "-") caller = "api_key\t" who[3]
  else caller = "address\t" who[1]
  key = substr($0, begin + 2, 11) "\t" caller
  requests[key]++
  seconds[key] += number[4] / 1000000
  received[key] += number[2]
  sent[key] += number[3]
}
END {
  for (key in requests) printf "%s\t%.0f\t%.3f\t%.0f\t%.0f\n", key, requests[key], seconds[key], received[key], sent[key]
}
