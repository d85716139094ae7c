"""Checks out/*.json, questions.json and who.json."""
import json, re, sys
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path
H = Path(__file__).parent; bad = []
EPOCH = 1420070400000
every, where, members, types, texts = {}, {}, Counter(), Counter(), defaultdict(list)
chan = Counter(); st = Counter(); months = Counter(); length = defaultdict(list); hours = defaultdict(Counter)
missing = set(json.loads((H/"missing.json").read_text())); old = set(json.loads((H/"old_ids.json").read_text()))
SRC = {}
for p in (H/"src/first").glob("*.json"):
    if p.stem in ("general","gaming","projects"): SRC |= {m["id"]: m for m in json.loads(p.read_text())["messages"]}
files = sorted((H/"out").glob("*.json"))
for p in files:
    d = json.loads(p.read_text()); last = 0
    if d["messageCount"] != len(d["messages"]): bad.append(f"{p.name} count")
    for m in d["messages"]:
        i = int(m["id"])
        if i <= last: bad.append(f"{p.name} {i} not increasing")
        last = i
        ms = (i >> 22) + EPOCH; t = int(datetime.fromisoformat(m["timestamp"]).timestamp()*1000 + .5)
        if abs(ms - t) > 1: bad.append(f"{i} id and time differ by {ms-t}")
        if m["id"] in every: bad.append(f"{i} twice")
        every[m["id"]] = m; where[m["id"]] = d["channel"]["id"]
        if m["id"] in old and m["id"] in SRC and SRC[m["id"]] != m: bad.append(f"{i} was changed")
        n = m["author"]["name"]; chan[p.stem] += 1; types[m["type"]] += 1; months[m["timestamp"][:7]] += 1
        if m["type"] in ("Default","Reply"):
            members[n] += 1; texts[m["content"].lower().strip()].append((n, m["id"])); length[n].append(len(m["content"])); hours[n][int(m["timestamp"][11:13])] += 1
        st["reactions"] += len(m["reactions"]); st["custom reactions"] += sum(bool(r["emoji"]["id"]) for r in m["reactions"])
        st["pins"] += m["isPinned"]; st["edits"] += bool(m["timestampEdited"]); st["attachments"] += len(m["attachments"])
        st["mentions"] += len(m["mentions"]); st["links"] += "http" in m["content"]; st["code"] += "```" in m["content"]
        for u in re.findall(r"https?://([^/\s]+)", m["content"]):
            if not u.endswith("example.com"): bad.append(f"{i} link to {u}")
        if m["timestampEdited"] and m["timestampEdited"] <= m["timestamp"]: bad.append(f"{i} edited before written")
        for r in m["reactions"]:
            if r["count"] != len(r["users"]): bad.append(f"{i} reactions")
if not old <= set(every): bad.append("old messages are missing")
gone = 0
for i, m in every.items():
    r = m.get("reference")
    if not r: 
        if m["type"] == "Reply": bad.append(f"{i} reply to nothing")
        continue
    t = r["messageId"]
    if t not in every:
        if t in missing: gone += 1
        else: bad.append(f"{i} refers to {t}")
    else:
        if int(t) >= int(i): bad.append(f"{i} answers the future")
        if where[t] != r["channelId"]: bad.append(f"{i} reference channel")
for t, w in texts.items():
    if len(w) > 1: (st.update({"identical (flood)": len(w)}) if w[0][0] in ("Tumbler","captain_freekeys") else print("   said twice:", repr(t[:60]), [a for a, _ in w]))
human = {k: v for k, v in members.items() if k not in ("Tumbler", "captain_freekeys")}
total = sum(human.values())
print(len(every), "messages;", dict(chan)); print("types", dict(types)); print(dict(st), "gone", gone); print("months", dict(sorted(months.items())))
for k, v in sorted(members.items(), key=lambda x: -x[1]):
    share = 100*v/total; L = sorted(length[k])
    print(f"  {k:22} {v:4} {share:5.1f} %  median length {L[len(L)//2]:3}  hours {' '.join(f'{h}:{c}' for h, c in hours[k].most_common(4))}")
    if k in human and not 4 <= share <= 25: bad.append(f"share of {k}: {share:.1f}")
q = H/"questions.json"
if q.exists():
    qs = json.loads(q.read_text()); print(len(qs), "questions", dict(Counter(x["kind"] for x in qs)))
    who = json.loads((H/"who.json").read_text()) if (H/"who.json").exists() else None
    off = {m["name"] for m in who["members"] if m["status"] in ("opted_out","erased")} if who else set()
    private = {c["id"] for c in who["channels"] if c["private"]} if who else set()
    for x in qs:
        for e in x["evidence"]:
            if e not in every: bad.append(f"{x['question']}: {e} is not there"); continue
            if every[e]["author"]["name"] in off: bad.append(f"{x['question']}: evidence of {every[e]['author']['name']}")
            if (where[e] in private) != (x["kind"] == "private"): bad.append(f"{x['question']}: private and not")
        if bool(x["evidence"]) == (x["kind"] == "never_said"): bad.append(f"{x['question']}: evidence")
        if x["kind"] == "changed" and len(x["evidence"]) < 2: bad.append(f"{x['question']}: needs both")
    if len({x["question"] for x in qs}) != len(qs): bad.append("question twice")
print("\n".join(bad) or "ALL WELL"); sys.exit(bool(bad))
