/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* interfaces and arp: how the machine was connected, in every network namespace. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "view/network_cells.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* include/uapi/linux/if.h */
static const struct bit_name flag_names[] = {
	{ 0x1, "UP" },        { 0x2, "BROADCAST" },    { 0x4, "DEBUG" },
	{ 0x8, "LOOPBACK" },  { 0x10, "POINTOPOINT" }, { 0x80, "NOARP" },
	{ 0x100, "PROMISC" }, { 0x200, "ALLMULTI" },   { 0x400, "MASTER" },
	{ 0x800, "SLAVE" },   { 0x1000, "MULTICAST" },
};

/* include/uapi/linux/neighbour.h; as ip-neighbour(8) names them. */
static const struct bit_name neighbour_states[] = {
	{ 0x01, "INCOMPLETE" }, { 0x02, "REACHABLE" }, { 0x04, "STALE" }, { 0x08, "DELAY" },
	{ 0x10, "PROBE" },      { 0x20, "FAILED" },    { 0x40, "NOARP" }, { 0x80, "PERMANENT" },
};

/* IF_OPER_UNKNOWN and on, include/uapi/linux/if.h; as ip-link(8) names them. */
static const char *const states[] = { "UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN",
				      "TESTING", "DORMANT",    "UP" };

enum { MAC_ROOM = 3 * HARDWARE_ADDRESS + 1 };

static struct kioku_cell mac_cell(const uint8_t *bytes, size_t count, char room[MAC_ROOM])
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += (size_t)snprintf(room + size, MAC_ROOM - size, "%s%02x", i ? ":" : "",
					 bytes[i]);
	return size ? cell_text(room, size) : cell_absent(KIOKU_CELL_NOT_APPLICABLE);
}

/* --- interfaces */

enum {
	COLUMN_NETNS,
	COLUMN_INDEX,
	COLUMN_NAME,
	COLUMN_STATE,
	COLUMN_FLAGS,
	COLUMN_MTU,
	COLUMN_TYPE,
	COLUMN_MAC,
	COLUMN_ADDRESSES,
	COLUMN_PROMISCUITY,
	COLUMN_DEVICE,
	COLUMNS
};

static const struct kioku_column columns[COLUMNS] = {
	[COLUMN_NETNS] = { "netns", KIOKU_KIND_UNSIGNED,
			   "network namespace, as in /proc/PID/ns/net", 0 },
	[COLUMN_INDEX] = { "index", KIOKU_KIND_INTEGER, "number in its namespace", 0 },
	[COLUMN_NAME] = { "name", KIOKU_KIND_TEXT, "of the interface", 0 },
	[COLUMN_STATE] = { "state", KIOKU_KIND_TEXT, "UP, DOWN, UNKNOWN, ...", 0 },
	[COLUMN_FLAGS] = { "flags", KIOKU_KIND_TEXT, "UP, PROMISC, ...", 0 },
	[COLUMN_MTU] = { "mtu", KIOKU_KIND_UNSIGNED, "longest packet, in bytes", 0 },
	[COLUMN_TYPE] = { "type", KIOKU_KIND_TEXT, "ether, loopback, or a number", 0 },
	[COLUMN_MAC] = { "mac", KIOKU_KIND_TEXT, "hardware address", 0 },
	[COLUMN_ADDRESSES] = { "addresses", KIOKU_KIND_TEXTS, "ADDRESS/PREFIX", 0 },
	[COLUMN_PROMISCUITY] = { "promiscuity", KIOKU_KIND_UNSIGNED,
				 "how many want all that passes by", 1 },
	[COLUMN_DEVICE] = { "device", KIOKU_KIND_ADDRESS, "address of the struct net_device", 1 },
};

static const struct record *const records[] = { &net_namespace_record, &net_device_record, NULL };

struct listing {
	struct view_run *run;
	const struct net_namespace *namespace;
};

struct interface {
	struct listing *listing;
	const struct net_device *device;
	char type[8], mac[MAC_ROOM], flags[BITS_ROOM];
	char *addresses; /* to be freed */
	struct kioku_cell cells[COLUMNS];
};

static struct kioku_cell lost(const struct interface *interface, const char *what,
			      enum kioku_status status)
{
	diagnose(&interface->listing->run->kernel->diagnostics, KIOKU_GAP,
		 "interface %d of namespace %u: %s: %s", interface->device->index,
		 interface->listing->namespace->inode, what, kioku_status_name(status));
	return cell_absent(presence_of(status));
}

/* include/uapi/linux/if_arp.h; as sysfs has it where there is no name. */
static struct kioku_cell type_cell(struct interface *interface)
{
	const uint16_t ether = 1, loopback = 772, none = 0xfffe;
	uint16_t type = interface->device->type;
	const char *name = type == ether      ? "ether"
			   : type == loopback ? "loopback"
			   : type == none     ? "none"
					      : NULL;

	if (name)
		return cell_text(name, strlen(name));
	return cell_text(interface->type,
			 (size_t)snprintf(interface->type, sizeof(interface->type), "%u", type));
}

static void mac_of(struct interface *interface)
{
	const struct net_device *device = interface->device;
	uint8_t bytes[HARDWARE_ADDRESS];
	enum kioku_status status =
		kernel_read(interface->listing->run->kernel, device->hardware_address, bytes,
			    device->hardware_size, NULL);

	interface->cells[COLUMN_MAC] =
		status == KIOKU_OK ? mac_cell(bytes, device->hardware_size, interface->mac)
				   : lost(interface, "its hardware address", status);
}

static enum kioku_status add_address(void *stream, int family, const uint8_t *bytes,
				     uint32_t prefix)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(family, bytes, text, sizeof(text));
	fprintf(stream, "%s/%u%c", text, prefix, 0);
	return KIOKU_OK;
}

static enum kioku_status list_addresses(void *user, FILE *stream)
{
	const struct interface *interface = user;

	return net_device_each_address(interface->listing->run->kernel, interface->device,
				       add_address, stream);
}

static void addresses_of(struct interface *interface)
{
	enum kioku_status status = view_make_texts(list_addresses, interface, &interface->addresses,
						   &interface->cells[COLUMN_ADDRESSES]);

	if (status != KIOKU_OK)
		interface->cells[COLUMN_ADDRESSES] = lost(interface, "its addresses", status);
}

static enum kioku_status give_device(void *user, const struct net_device *device)
{
	struct listing *listing = user;
	struct interface interface = { .listing = listing, .device = device };
	struct kioku_cell *cells = interface.cells;

	cells[COLUMN_NETNS] = cell_number(listing->namespace->inode);
	cells[COLUMN_INDEX] = cell_integer(device->index);
	cells[COLUMN_NAME] = device_name_cell(device);
	cells[COLUMN_STATE] =
		device->state < COUNT(states)
			? cell_text(states[device->state], strlen(states[device->state]))
			: cell_absent(KIOKU_CELL_CORRUPT);
	cells[COLUMN_FLAGS] =
		bits_cell(flag_names, COUNT(flag_names), device->flags, interface.flags);
	cells[COLUMN_MTU] = cell_number(device->mtu);
	cells[COLUMN_TYPE] = type_cell(&interface);
	cells[COLUMN_PROMISCUITY] = cell_number(device->promiscuity);
	cells[COLUMN_DEVICE] = cell_number(device->address);
	mac_of(&interface);
	addresses_of(&interface);
	enum kioku_status status = view_row(listing->run, cells);
	free(interface.addresses);
	return status;
}

static enum kioku_status give_namespace(void *user, const struct net_namespace *namespace)
{
	struct listing listing = { user, namespace };

	return net_device_each(listing.run->kernel, namespace, give_device, &listing);
}

static enum kioku_status run_interfaces(struct view_run *run, struct kioku_error *error)
{
	return net_namespace_each(run->kernel, give_namespace, run, error);
}

const struct kioku_view interfaces_view = {
	.name = "interfaces",
	.help = "network interfaces of all namespaces, with their addresses",
	VIEW_COLUMNS(columns),
	.needs_symbols = true,
	.records = records,
	.run = run_interfaces,
};

/* --- arp */

static const struct kioku_column arp_columns[] = {
	{ "netns", KIOKU_KIND_UNSIGNED, "network namespace, as in /proc/PID/ns/net", 0 },
	{ "address", KIOKU_KIND_TEXT, "of the neighbour, IPv4 or IPv6", 0 },
	{ "mac", KIOKU_KIND_TEXT, "its hardware address", 0 },
	{ "interface", KIOKU_KIND_TEXT, "by which it is reached", 0 },
	{ "state", KIOKU_KIND_TEXT, "REACHABLE, STALE, PERMANENT, ...", 0 },
};

static enum kioku_status give_neighbour(void *user, const struct neighbour *neighbour)
{
	/* NUD_VALID: of the others, the hardware address is not known. */
	const uint32_t valid = 0x80 | 0x40 | 0x02 | 0x10 | 0x04 | 0x08;
	struct view_run *run = user;
	struct net_namespace namespace;
	struct net_device device;
	char address[INET6_ADDRSTRLEN], mac[MAC_ROOM], state[BITS_ROOM];
	enum kioku_status status = net_device_read(run->kernel, neighbour->device, &device);
	struct kioku_cell absent = cell_absent(presence_of(status));

	inet_ntop(neighbour->family, neighbour->address, address, sizeof(address));
	if (status != KIOKU_OK)
		diagnose(&run->kernel->diagnostics, KIOKU_GAP, "neighbour %s: its interface: %s",
			 address, kioku_status_name(status));
	bool has_namespace =
		status == KIOKU_OK && record_read_at(run->kernel, &net_namespace_record,
						     device.namespace, &namespace) == KIOKU_OK;
	const struct kioku_cell cells[] = {
		has_namespace ? cell_number(namespace.inode) : cell_absent(KIOKU_CELL_UNREADABLE),
		cell_text(address, strlen(address)),
		status != KIOKU_OK ? absent
		: neighbour->state & valid
			? mac_cell(neighbour->hardware_address, device.hardware_size, mac)
			: cell_absent(KIOKU_CELL_NOT_APPLICABLE),
		status == KIOKU_OK ? device_name_cell(&device) : absent,
		bits_cell(neighbour_states, COUNT(neighbour_states), neighbour->state, state),
	};
	return view_row(run, cells);
}

static enum kioku_status run_arp(struct view_run *run, struct kioku_error *error)
{
	return neighbour_each(run->kernel, give_neighbour, run);
}

const struct kioku_view arp_view = {
	.name = "arp",
	.help = "neighbours of all namespaces, and their hardware addresses",
	VIEW_COLUMNS(arp_columns),
	.needs_symbols = true,
	.records = records,
	.run = run_arp,
};
