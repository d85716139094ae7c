"""Compact dialogue files (src/*.txt, src/threads/*.txt) + the present sample -> DiscordChatExporter JSON in out/.

A source file:
    # channel general            (threads: # channel, # slug, # name)
    == 2025-03-08 18:41          a scene begins; lines follow at a natural pace
    lou: text                    a line; \\n is a line break
    +35 lou: text                ... 35 minutes later
    {key} lou: text              ... with a name for replies and evidence
    > lou: text                  reply to the line before;  >2 the one before that;  >key to a named one
    >#745281 lou: text           reply to an existing message, by the end of its id;  >gone to one that was deleted
    * join otto                  somebody joins
    ... ~ 😂3 :gerald:2 pin edit=14 att=cake.jpg thread=slug     marks, at the end of a line
"""
import json, random, re, unicodedata
from datetime import datetime, timedelta, timezone
from pathlib import Path

HERE = Path(__file__).parent
OLD = HERE / "src/first"
OUT = HERE / "out"
EPOCH = 1420070400000
GUILD = {"id": "820019346037278789", "name": "The Leaky Kettle", "iconUrl": "https://cdn.discordapp.com/embed/avatars/0.png"}
EXPORTED = "2025-11-10T08:02:11.204+00:00"
AV = "https://cdn.discordapp.com/embed/avatars/%d.png"
SALT = {"id": "1154495433813262354", "name": "salt road", "color": "#3498DB", "position": 2}
CHANNELS = {
    "general": ("820019346045667399", "kettle talk. the floor is wet, watch your step"),
    "gaming": None, "projects": None,
    "organisers": ("1348590000000114698", "if your name is Percival you took a wrong turn on the stairs"),
}
NEW = {
    "nico": ("703918264410505216", "nico.feedback", "nico", "#3498DB", [SALT], 2, "2025-01-16", "2025-09-21"),
    "otto": ("881240917733445632", "otto_lotgenau", "Otto", None, [], 3, "2025-02-05", None),
    "ines": ("917350042266189824", "ines.masamadre", "Inés", None, [], 2, "2025-02-18", None),
    "spam": ("1379550120944640001", "captain_freekeys", "captain_freekeys", None, [], 1, None, None),
}
OLD_KEYS = {"lou_glitterglue": "lou", "gaz_topbins": "gaz", "mika.mud": "mika", "percival_weathervane": "percival",
            "ravi.rebases": "ravi", "kasia_dlubie": "kasia", "dee.nights": "dee", "bram_deckhand": "bram",
            "wren_on_cue": "wren", "Tumbler": "tumbler"}
CUSTOM = {"gerald": "977636033115980077", "invoice": "1302300000000000131", "turnip": "1297670000000000212",
          "flamingaz": "1306600000000000377"}
SECRET = {"lou", "ravi", "kasia", "dee", "wren", "gaz", "mika", "ines"}

old, authors, codes, emoji_code = {}, {}, {}, {}
for p in sorted(OLD.glob("*.json")):
    d = json.loads(p.read_text())
    if isinstance(d, dict) and p.stem in ("general", "gaming", "projects"):
        # Only what was there before: an already enlarged sample is cut back to it by the list of ids.
        old[p.stem] = d
KNOWN = HERE / "old_ids.json"
if not KNOWN.exists():
    KNOWN.write_text(json.dumps([m["id"] for d in old.values() for m in d["messages"]]))
keep = set(json.loads(KNOWN.read_text()))
for d in old.values():
    d["messages"] = [m for m in d["messages"] if m["id"] in keep]
    for m in d["messages"]:
        if m["author"]["name"] in OLD_KEYS:
            authors.setdefault(OLD_KEYS[m["author"]["name"]], m["author"])
        for e in m["inlineEmojis"] + [r["emoji"] for r in m["reactions"]]:
            emoji_code[e["name"]] = e
for k, (i, n, nick, col, roles, av, *_ ) in NEW.items():
    authors[k] = {"id": i, "name": n, "discriminator": "0000", "nickname": nick, "color": col, "isBot": False,
                  "roles": roles, "avatarUrl": AV % av}
by_nick = {a["nickname"]: k for k, a in authors.items()}
EMO = re.compile("[\U0001F000-\U0001FAFF\u2600-\u27BF\u2B50\u2615]\uFE0F?")

def emoji(name):
    if name.startswith(":"):
        n = name.strip(":"); i = CUSTOM[n]
        return {"id": i, "name": n, "code": n, "isAnimated": False, "imageUrl": f"https://cdn.discordapp.com/emojis/{i}.png"}
    if name in emoji_code: return emoji_code[name]
    code = unicodedata.name(name[0], "emoji").lower().replace(" ", "_").replace("-", "_")
    cp = "-".join(f"{ord(c):x}" for c in name if c != "\ufe0f")
    return {"id": "", "name": name, "code": code, "isAnimated": False,
            "imageUrl": f"https://cdn.jsdelivr.net/gh/twitter/twemoji@latest/assets/svg/{cp}.svg"}

def snow(ms, low): return ((ms - EPOCH) << 22) + low
def iso(ms): return datetime.fromtimestamp(ms / 1000, timezone.utc).isoformat(timespec="milliseconds")
def plain(a): return {k: v for k, v in a.items() if k != "roles"}

LINE = re.compile(r"^(?:\+(\d+)\s+)?(?:\{(\w+)\}\s+)?(?:>(gone|#\d+|\d+|\w+)?\s+)?(\w+): (.*)$")
JOIN = re.compile(r"^\* join (\w+)$")
labels = {}            # key -> message
made = {}              # channel or thread slug -> list
heads, pending, threads = {}, [], {}
errors = []
chan_id = {c: old[c]["channel"]["id"] if c in old else CHANNELS[c][0] for c in CHANNELS}

def message(ms, low, key, text, type_="Default"):
    inline, seen = [], set()
    for e in EMO.findall(text) + [f":{n}:" for n in re.findall(r":(\w+):", text) if n in CUSTOM]:
        if e not in seen: seen.add(e); inline.append(emoji(e))
    mentions = [authors[by_nick[n]] for n in dict.fromkeys(re.findall(r"@(\w+)", text)) if n in by_nick]
    return {"id": str(snow(ms, low)), "type": type_, "timestamp": iso(ms), "timestampEdited": None,
            "callEndedTimestamp": None, "isPinned": False, "content": text, "author": authors[key], "attachments": [],
            "embeds": [], "stickers": [], "reactions": [], "mentions": mentions, "inlineEmojis": inline}

def there(key, day, channel):
    if key in ("tumbler", "spam"): return False
    if channel == "organisers" and key not in SECRET: return False
    if key == 'wren' and day < '2024-10-06': return False
    n = NEW.get(key)
    return n is None or (n[6] <= day and (n[7] is None or day < n[7]))

def parse(path):
    meta, scene, rng, ms, prev = {}, None, None, None, []
    place = None
    for no, raw in enumerate(path.read_text().splitlines(), 1):
        line = raw.rstrip()
        if not line.strip() or line.startswith("//"): continue
        if line.startswith("# "):
            k, v = line[2:].split(" ", 1); meta[k] = v.strip()
            place = meta.get("slug") or meta.get("channel"); made.setdefault(place, []); heads[place] = meta
            continue
        if line.startswith("== "):
            t = datetime.strptime(line[3:].strip(), "%Y-%m-%d %H:%M").replace(tzinfo=timezone.utc)
            rng = random.Random(f"{place} {line}")
            ms = int(t.timestamp() * 1000) + rng.randrange(1000, 50000); first = True; continue
        try:
            if j := JOIN.match(line):
                ms += rng.randrange(1000, 9000)
                made[place].append(message(ms, rng.randrange(1, 4000), j[1], "Joined the server.", "GuildMemberJoin")); continue
            m = LINE.match(line)
            if not m: raise ValueError("no line: " + line[:60])
            gap, label, ref, key, text = m.groups()
            isreply = bool(re.match(r"^(?:\+\d+\s+)?(?:\{\w+\}\s+)?>", line))
            if key not in authors: raise ValueError("who is " + key)
            marks = []
            if " ~ " in text: text, marks = text.rsplit(" ~ ", 1); marks = marks.split()
            text = text.replace("\\n", "\n").strip()
            if not first or gap:
                if key == "tumbler": ms += rng.randrange(450, 1300)
                else:
                    typing = 2500 + len(text) * rng.randrange(90, 190)
                    pause = rng.random()
                    same = made[place] and made[place][-1].get("_key") == key
                    wait = (500, 9000) if same else (1500, 30000) if pause < .5 else (30000, 90000) if pause < .87 else (90000, 250000)
                    ms += min(typing, 120000) + rng.randrange(*wait) + (int(gap) * 60000 if gap else 0)
            first = False
            msg = message(ms, rng.randrange(1, 1 << 21), key, text)
            msg["_place"], msg["_key"] = place, key
            if not there(key, iso(ms)[:10], meta["channel"]) and key not in ("tumbler", "spam"):
                errors.append(f"{path.name}:{no} {key} is not there")
            if isreply: pending.append((msg, ref or "1", list(made[place][-6:]), f"{path.name}:{no}"))
            if label:
                if label in labels: raise ValueError("label twice " + label)
                labels[label] = msg
            made[place].append(msg)
            pool = [k for k in authors if there(k, iso(ms)[:10], meta["channel"]) and k != key]
            for mk in marks:
                if mk.startswith("pin"):
                    msg["isPinned"] = True
                    who = mk[4:] or "lou"
                    p = message(ms + rng.randrange(20000, 70000), rng.randrange(1, 1 << 21), who, "Pinned a message.", "ChannelPinnedMessage")
                    p["_pins"] = msg; made[place].append(p)
                elif mk.startswith("edit"):
                    mins = int(mk[5:] or 2) if mk[4:] else 2
                    msg["timestampEdited"] = iso(ms + mins * 60000 + rng.randrange(-30000, 30000))
                elif mk.startswith("att="):
                    aid = str(int(msg["id"]) - rng.randrange(1 << 22, 1 << 24))
                    cid = "{chan}"
                    msg["attachments"].append({"id": aid, "url": f"https://cdn.example.com/attachments/{cid}/{aid}/{mk[4:]}",
                                               "fileName": mk[4:], "fileSizeBytes": rng.randrange(90000, 3900000)})
                elif mk.startswith("thread="): threads[mk[7:]] = msg
                else:
                    r = re.match(r"^(\D+?)(\d+)$", mk)
                    users = rng.sample(pool, min(int(r[2]), len(pool)))
                    msg["reactions"].append({"emoji": emoji(r[1]), "count": len(users), "users": [plain(authors[u]) for u in users]})
        except Exception as e:
            errors.append(f"{path.name}:{no} {type(e).__name__} {e}")

for p in sorted((HERE / "src").glob("*.txt")) + sorted((HERE / "src/threads").glob("*.txt")): parse(p)
for place, meta in heads.items():
    if place not in chan_id:
        if place not in threads: errors.append("no start for thread " + place); continue
        chan_id[place] = threads[place]["id"]
def ref(msg, chan): return {"type": "Default", "messageId": msg if isinstance(msg, str) else msg["id"], "channelId": chan, "guildId": GUILD["id"]}
gone = random.Random("gone"); missing = []
for msg, r, before, where in pending:
    here = chan_id[msg["_place"]]
    msg["type"] = "Reply"
    if r == "gone":
        t = int(datetime.fromisoformat(msg["timestamp"]).timestamp() * 1000) - gone.randrange(40000, 200000)
        i = str(snow(t, gone.randrange(1, 1 << 21))); missing.append(i); msg["reference"] = ref(i, here); continue
    if r.startswith("#"):
        hits = [i for i in keep if i.endswith(r[1:])]
        if len(hits) != 1: errors.append(f"{where} {r} fits {len(hits)}"); continue
        msg["reference"] = ref(hits[0], here); continue
    if r.isdigit():
        real = [b for b in before if b["type"] in ("Default", "Reply")]
        if len(real) < int(r): errors.append(f"{where} nothing before"); continue
        msg["reference"] = ref(real[-int(r)], here)
    elif r in labels:
        t = labels[r]
        if t["_place"] != msg["_place"]: errors.append(f"{where} {r} is elsewhere")
        if int(t["id"]) >= int(msg["id"]): errors.append(f"{where} {r} is later")
        msg["reference"] = ref(t, here)
    else: errors.append(f"{where} no label {r}")
OUT.mkdir(exist_ok=True)
def write(name, channel, messages):
    for m in messages:
        if "_pins" in m: m["reference"] = ref(m.pop("_pins"), channel["id"])
        for a in m["attachments"]: a["url"] = a["url"].replace("{chan}", channel["id"])
        m.pop("_place", None); m.pop("_key", None)
        if "reference" in m: m["inlineEmojis"] = m.pop("inlineEmojis")
    messages.sort(key=lambda m: int(m["id"]))
    (OUT / f"{name}.json").write_text(json.dumps({"guild": GUILD, "channel": channel, "dateRange": {"after": None, "before": None},
        "exportedAt": EXPORTED, "messages": messages, "messageCount": len(messages)}, ensure_ascii=False, indent=1) + "\n")
evid = {k: m["id"] for k, m in labels.items()}
for place, meta in heads.items():
    if place in threads:
        s = threads[place]; parent = meta["channel"]
        t = int(datetime.fromisoformat(s["timestamp"]).timestamp() * 1000) + 31000
        start = message(t, 77, OLD_KEYS.get(s["author"]["name"], "lou"), "", "21")
        start["author"] = s["author"]; start["reference"] = ref(s, chan_id[parent])
        write("thread-" + place, {"id": s["id"], "type": "GuildPublicThread", "categoryId": chan_id[parent], "category": parent,
              "name": meta["name"], "topic": None}, [start] + made[place])
for c in CHANNELS:
    if c in old: write(c, old[c]["channel"], old[c]["messages"] + made.get(c, []))
    elif c in made: write(c, {"id": CHANNELS[c][0], "type": "GuildTextChat", "categoryId": "820019346041473094", "category": "upstairs",
                              "name": c, "topic": CHANNELS[c][1]}, made[c])
q = HERE / "questions.src.json"
if q.exists():
    items = json.loads(q.read_text())
    for it in items:
        ev = []
        for e in it["evidence"]:
            if e in evid: ev.append(evid[e])
            elif e in keep: ev.append(e)
            else: errors.append(f"question {it['question'][:40]}: no {e}")
        it["evidence"] = ev
    (HERE / "questions.json").write_text(json.dumps(items, ensure_ascii=False, indent=2) + "\n")
(HERE / "missing.json").write_text(json.dumps(missing))
(HERE / "labels.json").write_text(json.dumps(evid, indent=1))
print(sum(len(v) for v in made.values()), "new messages;", {k: len(v) for k, v in made.items()})
print("\n".join(errors) or "no errors")
