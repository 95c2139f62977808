/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* routes: all routing tables of every network namespace. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/route.h"
#include "view/network_cells.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

enum { PREFIX_ROOM = INET6_ADDRSTRLEN + 12 };

enum {
	COLUMN_NETNS,
	COLUMN_FAMILY,
	COLUMN_TABLE,
	COLUMN_TYPE,
	COLUMN_DESTINATION,
	COLUMN_GATEWAY,
	COLUMN_INTERFACE,
	COLUMN_METRIC,
	COLUMN_PROTOCOL,
	COLUMN_SCOPE,
	COLUMN_SOURCE,
	COLUMN_FLAGS,
	COLUMN_FROM,
	COLUMN_TOS,
	COLUMN_WEIGHT,
	COLUMN_NEXTHOP,
	COLUMN_ROUTE,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_NETNS] = { "netns", KIOKU_KIND_UNSIGNED,
			   "network namespace, as in /proc/PID/ns/net", 0 },
	[COLUMN_FAMILY] = { "family", KIOKU_KIND_TEXT, "IPv4 or IPv6", 0 },
	[COLUMN_TABLE] = { "table", KIOKU_KIND_TEXT, "main, local, default, or a number", 0 },
	[COLUMN_TYPE] = { "type", KIOKU_KIND_TEXT, "unicast, local, blackhole, ...", 0 },
	[COLUMN_DESTINATION] = { "destination", KIOKU_KIND_TEXT, "ADDRESS/PREFIX", 0 },
	[COLUMN_GATEWAY] = { "gateway", KIOKU_KIND_TEXT, "address of the next hop", 0 },
	[COLUMN_INTERFACE] = { "interface", KIOKU_KIND_TEXT, "by which it is reached", 0 },
	[COLUMN_METRIC] = { "metric", KIOKU_KIND_UNSIGNED, "the lowest of equal prefixes counts",
			    0 },
	[COLUMN_PROTOCOL] = { "protocol", KIOKU_KIND_TEXT, "who made it: kernel, boot, static, ...",
			      0 },
	[COLUMN_SCOPE] = { "scope", KIOKU_KIND_TEXT, "how far it is: global, link, host; IPv4", 0 },
	[COLUMN_SOURCE] = { "source", KIOKU_KIND_TEXT, "address that packets are sent from", 0 },
	[COLUMN_FLAGS] = { "flags", KIOKU_KIND_TEXT, "DEAD, ONLINK, ADDRCONF, ...", 0 },
	[COLUMN_FROM] = { "from", KIOKU_KIND_TEXT, "ADDRESS/PREFIX of those it is for; IPv6", 1 },
	[COLUMN_TOS] = { "tos", KIOKU_KIND_UNSIGNED, "type of service that it is for; IPv4", 1 },
	[COLUMN_WEIGHT] = { "weight", KIOKU_KIND_UNSIGNED, "share of this one of several hops", 1 },
	[COLUMN_NEXTHOP] = { "nexthop", KIOKU_KIND_UNSIGNED, "number of its nexthop object", 1 },
	[COLUMN_ROUTE] = { "route", KIOKU_KIND_ADDRESS,
			   "address of the struct fib_info or fib6_info", 1 },
};

/* include/uapi/linux/rtnetlink.h; as ip-route(8) names them. */
static const struct number_name types[] = {
	{ 0, "unspec" },   { 1, "unicast" },   { 2, "local" },     { 3, "broadcast" },
	{ 4, "anycast" },  { 5, "multicast" }, { 6, "blackhole" }, { 7, "unreachable" },
	{ 8, "prohibit" }, { 9, "throw" },     { 10, "nat" },      { 11, "xresolve" },
};

static const struct number_name protocols[] = {
	{ 0, "unspec" }, { 1, "redirect" }, { 2, "kernel" },    { 3, "boot" },
	{ 4, "static" }, { 8, "gated" },    { 9, "ra" },        { 10, "mrt" },
	{ 11, "zebra" }, { 12, "bird" },    { 13, "dnrouted" }, { 14, "xorp" },
	{ 15, "ntk" },   { 16, "dhcp" },    { 17, "mrouted" },  { 18, "keepalived" },
	{ 42, "babel" }, { 99, "openr" },   { 186, "bgp" },     { 187, "isis" },
	{ 188, "ospf" }, { 189, "rip" },    { 192, "eigrp" },
};

static const struct number_name scopes[] = {
	{ 0, "global" }, { 200, "site" }, { 253, "link" }, { 254, "host" }, { 255, "nowhere" },
};

static const struct number_name tables[] = {
	{ 253, "default" },
	{ 254, "main" },
	{ 255, "local" },
};

/* RTNH_F_DEAD and others, likewise. */
static const struct bit_name hop_flags[] = {
	{ 1, "DEAD" },      { 2, "PERVASIVE" },   { 4, "ONLINK" }, { 8, "OFFLOAD" },
	{ 16, "LINKDOWN" }, { 32, "UNRESOLVED" }, { 64, "TRAP" },
};

/* include/uapi/linux/ipv6_route.h and route.h; those that no other column tells. */
static const struct bit_name route_flags[] = {
	{ 0x10, "DYNAMIC" },      { 0x20, "MODIFIED" },    { 0x10000, "DEFAULT" },
	{ 0x20000, "ALLONLINK" }, { 0x40000, "ADDRCONF" }, { 0x80000, "PREFIX_RT" },
	{ 0x100000, "ANYCAST" },  { 0x400000, "EXPIRES" }, { 0x800000, "ROUTEINFO" },
};

static const struct record *const records[] = { &net_namespace_record, &net_device_record, NULL };

struct listing {
	struct view_run *run;
	const struct net_namespace *namespace;
};

struct row {
	char table[NUMBER_ROOM], type[NUMBER_ROOM], protocol[NUMBER_ROOM], scope[NUMBER_ROOM];
	char destination[PREFIX_ROOM], from[PREFIX_ROOM];
	char gateway[INET6_ADDRSTRLEN], source[INET6_ADDRSTRLEN];
	char flags[2 * BITS_ROOM];
	struct net_device device;
	struct kioku_cell cells[COLUMNS];
};

static struct kioku_cell prefix_cell(int family, const uint8_t *address, uint32_t prefix,
				     char room[PREFIX_ROOM])
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(family, address, text, sizeof(text));
	return cell_text(room, (size_t)snprintf(room, PREFIX_ROOM, "%s/%u", text, prefix));
}

static struct kioku_cell address_cell(int family, const uint8_t *address,
				      char room[INET6_ADDRSTRLEN])
{
	inet_ntop(family, address, room, INET6_ADDRSTRLEN);
	return cell_string(room);
}

/* Those of the hop first, then those of an IPv6 route. */
static struct kioku_cell flags_cell(const struct route *route, char room[2 * BITS_ROOM])
{
	char more[BITS_ROOM];
	struct kioku_cell hop = bits_cell(hop_flags, COUNT(hop_flags), route->hop.flags, room);
	struct kioku_cell own = bits_cell(route_flags, COUNT(route_flags), route->flags, more);
	size_t size = hop.value.text.size;

	if (own.presence == KIOKU_CELL_PRESENT)
		size += (size_t)snprintf(room + size, 2 * BITS_ROOM - size, "%s%.*s",
					 size ? "," : "", (int)own.value.text.size, more);
	return cell_text_if_any(room, size);
}

static struct kioku_cell interface_cell(const struct listing *listing, const struct route *route,
					struct net_device *device)
{
	struct kioku_kernel *kernel = listing->run->kernel;

	if (!route->hop.device)
		return cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	enum kioku_status status = net_device_read(kernel, route->hop.device, device);
	if (status == KIOKU_OK)
		return device_name_cell(device);
	diagnose(&kernel->diagnostics, KIOKU_GAP, "route 0x%llx of namespace %u: its interface: %s",
		 (unsigned long long)route->address, listing->namespace->inode,
		 kioku_status_name(status));
	return cell_absent(presence_of(status));
}

static void hop_cells(const struct listing *listing, const struct route *route, struct row *row)
{
	const struct next_hop *hop = &route->hop;
	struct kioku_cell *cells = row->cells;

	if (route->hop_status != KIOKU_OK) {
		struct kioku_cell lost = cell_absent(presence_of(route->hop_status));
		cells[COLUMN_GATEWAY] = cells[COLUMN_INTERFACE] = cells[COLUMN_FLAGS] = lost;
		cells[COLUMN_WEIGHT] = cells[COLUMN_NEXTHOP] = lost;
		return;
	}
	if (hop->gateway_family)
		cells[COLUMN_GATEWAY] =
			address_cell(hop->gateway_family, hop->gateway, row->gateway);
	cells[COLUMN_INTERFACE] = interface_cell(listing, route, &row->device);
	cells[COLUMN_FLAGS] = flags_cell(route, row->flags);
	cells[COLUMN_WEIGHT] = cell_number(hop->weight);
	if (hop->object)
		cells[COLUMN_NEXTHOP] = cell_number(hop->object);
}

static enum kioku_status give_route(void *user, const struct route *route)
{
	static const uint8_t none[16];
	const struct listing *listing = user;
	struct row row;
	struct kioku_cell *cells = row.cells;

	for (size_t i = 0; i < COLUMNS; i++)
		cells[i] = cell_absent(KIOKU_CELL_NOT_APPLICABLE);
	cells[COLUMN_NETNS] = cell_number(listing->namespace->inode);
	cells[COLUMN_FAMILY] = cell_string(route->family == AF_INET ? "IPv4" : "IPv6");
	cells[COLUMN_TABLE] = number_name_cell(tables, COUNT(tables), route->table, row.table);
	cells[COLUMN_TYPE] = number_name_cell(types, COUNT(types), route->type, row.type);
	cells[COLUMN_DESTINATION] =
		prefix_cell(route->family, route->destination, route->prefix, row.destination);
	cells[COLUMN_METRIC] = cell_number(route->metric);
	cells[COLUMN_PROTOCOL] =
		number_name_cell(protocols, COUNT(protocols), route->protocol, row.protocol);
	if (route->family == AF_INET) {
		cells[COLUMN_SCOPE] =
			number_name_cell(scopes, COUNT(scopes), route->scope, row.scope);
		cells[COLUMN_TOS] = cell_number(route->tos);
	}
	if (route->from_prefix)
		cells[COLUMN_FROM] =
			prefix_cell(route->family, route->from, route->from_prefix, row.from);
	if (memcmp(route->source, none, sizeof(none)))
		cells[COLUMN_SOURCE] = address_cell(route->family, route->source, row.source);
	cells[COLUMN_ROUTE] = cell_number(route->address);
	hop_cells(listing, route, &row);
	return view_row(listing->run, cells);
}

static enum kioku_status give_namespace(void *user, const struct net_namespace *namespace)
{
	struct listing listing = { user, namespace };

	return route_each(listing.run->kernel, namespace, give_route, &listing);
}

static enum kioku_status run_routes(struct view_run *run, struct kioku_error *error)
{
	return net_namespace_each(run->kernel, give_namespace, run, error);
}

const struct kioku_view routes_view = {
	.name = "routes",
	.help = "routing tables of all namespaces, with every next hop",
	VIEW_COLUMNS(columns),
	.needs_symbols = true,
	.records = records,
	.run = run_routes,
};
