# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sockets, interfaces, neighbours and routes of every network namespace, against the guest's own /proc/net, both ways."""

import collections
import ipaddress

from open_files import STATES, UNIX_LISTENS, internet_end, text

PROTOCOLS = {"tcp": "TCP", "udp": "UDP", "raw": None, "icmp": "ICMP"}
STATES = {**STATES, 6: "TIME_WAIT"}
TYPES = {1: "STREAM", 2: "DGRAM", 3: "RAW", 5: "SEQPACKET"}
# include/uapi/linux/netlink.h
NETLINK = {0: "ROUTE", 4: "SOCK_DIAG", 7: "SELINUX", 9: "AUDIT", 10: "FIB_LOOKUP", 11: "CONNECTOR",
           12: "NETFILTER", 15: "KOBJECT_UEVENT", 16: "GENERIC", 18: "SCSITRANSPORT", 20: "RDMA",
           21: "CRYPTO", 6: "XFRM"}
INTERNET = {1: "ICMP", 58: "ICMPv6"}


def is_told(known):
    """Whether a guest's folder says what is compared here; older ones do not."""
    return "network" in known.before["roles"]


def has_routes(known):
    return is_told(known) and "routes" in known.before["net"]


def networks(truth):
    """{number of a namespace: its tables}"""
    found = {}
    for process in truth["processes"]:
        name = process["namespaces"]["net"]
        if name:
            found.setdefault(int(name[5:-1]), process["net"] or None)
    first = next(process for process in truth["processes"] if process["pid"] == 1)
    return {**found, int(first["namespaces"]["net"][5:-1]): truth["net"]}


def internet(name, line):
    """(inode, what it is, (to be sent, to be read)) of a line of a table of /proc/net."""
    kind = name.rstrip("6")
    fields = line.split()
    state = STATES.get(int(fields[3], 16))
    if state == "CLOSE" and kind != "tcp":
        state = "UNCONNECTED"
    protocol = PROTOCOLS[kind]
    if kind == "raw":
        protocol = INTERNET.get(int(fields[1].split(":")[1], 16))
    family = "IPv6" if name.endswith("6") else "IPv4"
    ends = [internet_end(field, kind == "raw") for field in fields[1:3]]
    return int(fields[9]), (family, protocol, *ends, state), \
        tuple(int(part, 16) for part in fields[4].split(":"))


def told_sockets(tables):
    """{inode: (what it is, queues)}, and [what it is] of those that have none."""
    found, nameless = {}, collections.Counter()

    def add(inode, what, queues=None):
        if inode:
            found[inode] = what, queues
        else:
            nameless[what] += 1

    for name, lines in tables.items():
        if name.rstrip("6") in PROTOCOLS:
            for line in lines[1:]:
                add(*internet(name, line))
    for line in tables.get("unix", [])[1:]:
        _, _, _, flags, kind, _, inode, *path = line.split(None, 7)
        add(int(inode), ("unix", TYPES[int(kind, 16)], path[0] if path else None,
                         bool(int(flags, 16) & UNIX_LISTENS)))
    for line in tables.get("packet", [])[1:]:
        fields = line.split()
        add(int(fields[8]), ("packet", TYPES[int(fields[2])], f"0x{fields[3]}"))
    for line in tables.get("netlink", [])[1:]:
        fields = line.split()
        add(int(fields[9]), ("netlink", NETLINK.get(int(fields[1]), fields[1])))
    return found, nameless


def shown(row):
    family = row["family"]
    if family in ("IPv4", "IPv6"):
        return (family, row["protocol"], row["local"], row["remote"], row["state"])
    if family == "unix":
        return (family, row["type"], text(row, "local"), row["state"] == "LISTEN")
    if family == "packet":
        return (family, row["type"], row["protocol"])
    return (family, row["protocol"])


def wrong_sockets(number, rows, before, after):
    """Where the rows of one namespace differ from its tables, before and after."""
    (told, nameless), (later, later_nameless) = before, after
    found = {row["inode"]: row for row in rows if row["inode"]}
    others = collections.Counter(shown(row) for row in rows if not row["inode"])
    for inode in sorted((told.keys() & later.keys()) - found.keys()):
        yield f"socket {inode} {told[inode]} is missing"
    for inode in sorted(found.keys() - told.keys() - later.keys()):
        yield f"socket {inode} {shown(found[inode])} is in no table"
    for inode in sorted(found.keys() & told.keys()):
        row, (what, queues) = found[inode], told[inode]
        if shown(row) != what:
            yield f"socket {inode} is {shown(row)}, not {what}"
        if queues and (row["send_queue"], row["receive_queue"]) != queues:
            yield f"socket {inode}: queues of {row['send_queue']} and {row['receive_queue']} " \
                  f"bytes, not {queues}"
    yield from (f"{what} is missing" for what in (nameless & later_nameless) - others)
    yield from (f"{what} is in no table" for what in others - (nameless | later_nameless))


def sockets(tool, known, image):
    rows = tool.rows("sockets", image, "--columns", "all")
    by_namespace = collections.defaultdict(list)
    for row in rows:
        by_namespace[row["netns"]].append(row)
    told = networks(known.before)
    later = networks(known.after or known.before)

    def steady(tables):
        """After a panic nobody can be asked whether what waits for its end was still there."""
        found, nameless = told_sockets(tables)
        return found, nameless if known.after else collections.Counter(
            {what: count for what, count in nameless.items() if "TIME_WAIT" not in what})

    yield from (f"there is no namespace {number}" for number in by_namespace.keys() - told.keys())
    for number, tables in told.items():
        listed = [row for row in by_namespace[number] if row["found"] == "table"]
        for problem in wrong_sockets(number, listed, told_sockets(tables),
                                     steady(later[number])):
            yield f"namespace {number}: {problem}"
    yield from wrong_owners(tool, image, rows)
    filtered = {row["comm"] for row in rows if row["filter"]}
    if filtered != {"network"}:
        yield f"filters in {filtered}"
    return f"{len(rows)} sockets of {len(told)} namespaces"


def has_sent(known):
    return is_told(known) and "sent" in known.before.get("sockets", {})


def carved(tool, known, image):
    """With --all: what no table and no descriptor leads to, and nothing that was closed."""
    rows = tool.rows("sockets", image, "--all", "--columns", "all")
    rest = [row for row in rows if row["found"] != "slab"]
    if rest != tool.rows("sockets", image, "--columns", "all"):
        yield "there are other rows without --all"
    found = {row["inode"]: row for row in rows if row["found"] == "slab"}
    told = known.before["sockets"]
    sent = found.pop(told["sent"], None)
    if not sent or (sent["family"], sent["protocol"], sent["state"]) != ("IPv4", "TCP", "CLOSE"):
        yield f"socket {told['sent']}, which waits to be received, is {sent}"
    yield from (f"socket {inode} was closed" for inode in told.values() if inode in found)
    # The others are the kernel's own, one or several for each namespace, which talk to nobody.
    for inode, row in found.items():
        if row["owners"] or row["local"] or row["remote"] or row["state"] != "UNCONNECTED" or \
                row["protocol"] not in ("UDP", "TCP", "ICMP", "ICMPv6"):
            yield f"socket {inode} is {row}"
    return f"{len(found) + 1} sockets of {len(rows)}"


def wrong_owners(tool, image, rows):
    """Each socket that a process has open is here, and is that process's."""
    opened = collections.defaultdict(set)
    for row in tool.rows("lsof", image, "--columns", "all"):
        if row["family"]:
            opened[row["inode"]].add(f"{row['pid']}/{row['fd']}")
    owned = {row["inode"]: set(row["owners"]) for row in rows if row["owners"]}
    for inode in sorted(opened.keys() | owned.keys()):
        if opened[inode] != owned.get(inode, set()):
            yield f"socket {inode} is open in {owned.get(inode)}, not in {opened[inode]}"


# --- interfaces

FLAGS = {0x1: "UP", 0x2: "BROADCAST", 0x4: "DEBUG", 0x8: "LOOPBACK", 0x10: "POINTOPOINT",
         0x80: "NOARP", 0x1000: "MULTICAST"}
KINDS = {1: "ether", 772: "loopback"}


def told_interfaces(tables):
    """{name: (index, flags, type, hardware address, addresses)}"""
    found, addresses = {}, collections.defaultdict(set)
    for line in tables["interfaces"]:
        kind, name, *fields = line.split()
        if kind == "link":
            index, flags, hardware, *mac = fields
            found[name] = (int(index), {text for bit, text in FLAGS.items()
                                        if int(flags, 16) & bit},
                           KINDS.get(int(hardware), hardware), mac[0] if mac else None)
        else:
            addresses[name].add(fields[0])
    return {name: (*facts, addresses[name]) for name, facts in found.items()}


def interfaces(tool, known, image):
    rows = tool.rows("interfaces", image, "--columns", "all")
    told = networks(known.before)
    found = collections.defaultdict(dict)
    for row in rows:
        found[row["netns"]][row["name"]] = (
            row["index"], set(FLAGS.values()) & set((row["flags"] or "").split(",")), row["type"],
            row["mac"], set(row["addresses"]))
    yield from (f"there is no namespace {number}" for number in found.keys() - told.keys())
    for number, tables in told.items():
        expected = told_interfaces(tables)
        for name in sorted(expected.keys() | found[number].keys()):
            if expected.get(name) != found[number].get(name):
                yield f"{name} of {number}: {found[number].get(name)}, not {expected.get(name)}"
    return f"{len(rows)} interfaces"


def told_neighbours(tables):
    """{(address, interface): hardware address} of /proc/net/arp, which has no NOARP entries."""
    lines = [line.split() for line in tables["arp"][1:]]
    return {(fields[0], fields[5]): fields[3] for fields in lines}


def arp(tool, known, image):
    rows = tool.rows("arp", image)
    count = 0
    for number, tables in networks(known.before).items():
        found = {(row["address"], row["interface"]): row["mac"] for row in rows
                 if row["netns"] == number and ":" not in row["address"] and
                 row["state"] != "NOARP"}
        count += len(found)
        if found != told_neighbours(tables):
            yield f"neighbours in {number}: {found}, not {told_neighbours(tables)}"
    if not count:
        yield "there is no neighbour at all"
    return f"{len(rows)} neighbours"


# --- routes

ROUTE_TABLES = {253: "default", 254: "main", 255: "local"}
ROUTE_TYPES = {1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast",
               6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}
ROUTE_PROTOCOLS = {2: "kernel", 3: "boot", 4: "static", 9: "ra"}
ROUTE_SCOPES = {0: "global", 253: "link", 254: "host"}
HOP_FLAGS = {1: "DEAD", 4: "ONLINK", 16: "LINKDOWN"}
RTF_REJECT = 0x200


def told_routes(tables):
    """Counter of what rtnetlink said of each next hop."""
    names = {facts[0]: name for name, facts in told_interfaces(tables).items()}
    found = collections.Counter()
    for line in tables["routes"]:
        words = line.split()
        told = dict(zip(words[::2], words[1::2]))
        number = {key: int(told[key]) for key in
                  ("family", "table", "prefix", "from_prefix", "type", "protocol", "scope", "tos",
                   "metric", "object", "interface", "flags", "weight")}
        is_four = number["family"] == 2
        found["IPv4" if is_four else "IPv6",
              ROUTE_TABLES.get(number["table"], str(number["table"])),
              ROUTE_TYPES[number["type"]], f"{told['to']}/{number['prefix']}",
              f"{told['from']}/{number['from_prefix']}" if number["from_prefix"] else None,
              told["via"].replace("-", "") or None, names.get(number["interface"]),
              number["metric"], ROUTE_PROTOCOLS[number["protocol"]],
              ROUTE_SCOPES[number["scope"]] if is_four else None,
              number["tos"] if is_four else None, told["source"].replace("-", "") or None,
              number["object"] or None, number["weight"],
              frozenset(name for bit, name in HOP_FLAGS.items() if number["flags"] & bit)] += 1
    return found


def shown_route(row):
    return (row["family"], row["table"], row["type"], row["destination"], row["from"],
            row["gateway"], row["interface"], row["metric"], row["protocol"], row["scope"],
            row["tos"], row["source"], row["nexthop"], row["weight"],
            frozenset((row["flags"] or "").split(",")) & frozenset(HOP_FLAGS.values()))


def proc_routes(tables):
    """(interface, destination, metric) of /proc/net/route, which has the main table's."""
    for line in tables["route"][1:]:
        name, destination, gateway, _, _, _, metric, mask, *_ = line.split()
        prefix = int(mask, 16).bit_count()
        yield (name.replace("*", "") or None,
               f"{internet_address(destination)}/{prefix}", int(metric))


def internet_address(text):
    return str(ipaddress.ip_address(bytes.fromhex(text)[::-1]))


def proc_routes6(tables):
    """(interface, destination, gateway, metric) of /proc/net/ipv6_route, which has all tables."""
    for line in tables["ipv6_route"]:
        destination, prefix, _, _, gateway, metric, _, _, flags, name = line.split()
        # One that stands where there is no route: the kernel shows it, and refuses what is not routed.
        if int(flags, 16) & RTF_REJECT and int(metric, 16) == 0xffffffff:
            continue
        gateway = str(ipaddress.ip_address(bytes.fromhex(gateway)))
        yield (name, f"{ipaddress.ip_address(bytes.fromhex(destination))}/{int(prefix, 16)}",
               None if gateway == "::" else gateway, int(metric, 16))


def wrong_routes(rows, tables):
    """Where the rows of one namespace differ from what it said."""
    found, told = collections.Counter(map(shown_route, rows)), told_routes(tables)
    yield from (f"{route} is missing" for route in told - found)
    yield from (f"{route} is in no table" for route in found - told)
    main = {(row["interface"], row["destination"], row["metric"]) for row in rows
            if row["family"] == "IPv4" and row["table"] == "main"}
    yield from (f"{route} of /proc/net/route is missing" for route in proc_routes(tables)
                if route not in main)
    six = collections.Counter((row["interface"], row["destination"], row["gateway"],
                               row["metric"]) for row in rows if row["family"] == "IPv6")
    told = collections.Counter(proc_routes6(tables))
    yield from (f"{route} of /proc/net/ipv6_route is missing" for route in told - six)
    yield from (f"{route} is not in /proc/net/ipv6_route" for route in six - told)


def routes(tool, known, image):
    rows = tool.rows("routes", image, "--columns", "all")
    told = networks(known.before)
    yield from (f"there is no namespace {number}" for number in
                {row["netns"] for row in rows} - told.keys())
    for number, tables in told.items():
        for problem in wrong_routes([row for row in rows if row["netns"] == number], tables):
            yield f"namespace {number}: {problem}"
    return f"{len(rows)} routes"


# --- netfilter

HOOK_FAMILIES = {2: "IPv4", 3: "ARP", 5: "netdev", 7: "bridge", 10: "IPv6"}
HOOKS = {2: ["PRE_ROUTING", "LOCAL_IN", "FORWARD", "LOCAL_OUT", "POST_ROUTING"],
         3: ["IN", "OUT", "FORWARD"], 5: ["INGRESS", "EGRESS"]}
HOOKS[7] = HOOKS[10] = HOOKS[2]
# What lab/guest/filters.c makes; the one of two families is called for both.
CHAINS = {("IPv4", "LOCAL_IN", 10, None, "nft_do_chain_inet"),
          ("IPv6", "LOCAL_IN", 10, None, "nft_do_chain_inet"),
          ("IPv4", "LOCAL_IN", -300, None, "nft_do_chain_inet"),
          ("IPv6", "LOCAL_IN", -300, None, "nft_do_chain_inet"),
          ("IPv4", "LOCAL_OUT", -150, None, "nft_do_chain_ipv4"),
          ("ARP", "IN", 3, None, "nft_do_chain_arp"),
          ("netdev", "INGRESS", 5, "kioku0", "nft_do_chain_netdev")}


def has_hooks(known):
    return is_told(known) and "hooks" in known.before["net"]


def told_hooks(tables):
    """Counter of (family, hook, priority, interface, function, module)"""
    found = collections.Counter()
    for line in tables["hooks"]:
        family, hook, priority, *names = line.split()
        interface, function, module = (None if name == "-" else name for name in names)
        found[HOOK_FAMILIES[int(family)], HOOKS[int(family)][int(hook)], int(priority), interface,
              function, module] += 1
    return found


def netfilter(tool, known, image):
    rows = tool.rows("netfilter", image, "--columns", "all")
    told = networks(known.before)
    functions = collections.defaultdict(set)
    for line in (known.folder / "truth-kallsyms.txt").read_text().splitlines():
        address, _, name, *_ = line.split()
        functions[int(address, 16)].add(name)
    for row in rows:
        if row["function"] not in functions[int(row["handler"], 16)]:
            yield f"{row['handler']} is {functions[int(row['handler'], 16)]}, " \
                  f"not {row['function']}"
    chains = [(row["family"], row["hook"], row["priority"], row["interface"], row["function"])
              for row in rows if row["module"] == "nf_tables"]
    if collections.Counter(chains) != collections.Counter(CHAINS):
        yield f"the chains are {chains}"
    for number, tables in told.items():
        found = collections.Counter(
            (row["family"], row["hook"], row["priority"], row["interface"], row["function"],
             row["module"]) for row in rows if row["netns"] == number)
        # Before 6.12 there is nobody to ask.
        if any(tables["hooks"] for tables in told.values()) and found != told_hooks(tables):
            yield f"hooks in {number}: {found}, not {told_hooks(tables)}"
    return f"{len(rows)} hooks"
