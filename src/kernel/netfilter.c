/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/netfilter.h"

enum {
	POINTS = 8,
	ENTRY_LIMIT = 1024, /* MAX_HOOK_COUNT, net/netfilter/core.c */
};

/* Of each point the functions, struct nf_hook_entries. */
struct points {
	uint64_t ipv4[POINTS], ipv6[POINTS], arp[POINTS], bridge[POINTS], decnet[POINTS];
};

static const struct member points_members[] = {
	OPTIONAL(struct points, ipv4, "nf.hooks_ipv4"),
	OPTIONAL(struct points, ipv6, "nf.hooks_ipv6"),
	OPTIONAL(struct points, arp, "nf.hooks_arp"),
	OPTIONAL(struct points, bridge, "nf.hooks_bridge"),
	OPTIONAL(struct points, decnet, "nf.hooks_decnet"), /* until v6.0 */
};
static const struct record points_record = RECORD(struct points, "net", points_members);

struct device_points {
	uint64_t ingress, egress;
};

static const struct member device_points_members[] = {
	OPTIONAL(struct device_points, ingress, "nf_hooks_ingress"),
	OPTIONAL(struct device_points, egress, "nf_hooks_egress"), /* v5.16 */
};
static const struct record device_points_record =
	RECORD(struct device_points, "net_device", device_points_members);

/* Behind the functions are, in the same order, pointers to what they were registered with. */
struct entries {
	uint16_t count;
	uint8_t first; /* of this only the place matters */
};

static const struct member entries_members[] = {
	MEMBER(struct entries, count, "num_hook_entries"),
	MEMBER(struct entries, first, "hooks"),
};
static const struct record entries_record =
	RECORD(struct entries, "nf_hook_entries", entries_members);

struct entry {
	uint64_t handler, private;
};

static const struct member entry_members[] = {
	MEMBER(struct entry, handler, "hook"),
	MEMBER(struct entry, private, "priv"),
};
static const struct record entry_record = RECORD(struct entry, "nf_hook_entry", entry_members);

struct ops {
	uint64_t handler, private;
	int32_t priority;
};

static const struct member ops_members[] = {
	MEMBER(struct ops, handler, "hook"),
	MEMBER(struct ops, private, "priv"),
	MEMBER(struct ops, priority, "priority"),
};
static const struct record ops_record = RECORD(struct ops, "nf_hook_ops", ops_members);

struct hooks {
	struct kioku_kernel *kernel;
	const struct net_namespace *namespace;
	netfilter_hook_fn *receive;
	void *user;
};

/* Both must say the same of the function. */
static enum kioku_status read_ops(struct kioku_kernel *kernel, uint64_t pointer,
				  struct netfilter_hook *hook)
{
	struct ops ops;
	uint8_t raw[8];

	TRY(kernel_read(kernel, pointer, raw, sizeof(raw), NULL));
	hook->ops = load_le64(raw);
	TRY(record_read_at(kernel, &ops_record, hook->ops, &ops));
	if (ops.handler != hook->handler || ops.private != hook->private)
		return KIOKU_ERROR_CORRUPT;
	hook->priority = ops.priority;
	return KIOKU_OK;
}

static enum kioku_status give_entries(const struct hooks *hooks, uint64_t address,
				      struct netfilter_hook *hook, enum kioku_status *stopped)
{
	struct kioku_kernel *kernel = hooks->kernel;
	uint64_t stride = types_size_of(kernel->types, "struct nf_hook_entry");
	const struct binding *binding;
	struct entries entries;

	TRY(record_bind(kernel, &entries_record, &binding, NULL));
	TRY(record_read_at(kernel, &entries_record, address, &entries));
	if (entries.count > ENTRY_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	uint64_t first = address + BINDING_OFFSET(binding, struct entries, first);
	for (unsigned i = 0; i < entries.count; i++) {
		struct entry entry;
		TRY(record_read_at(kernel, &entry_record, first + i * stride, &entry));
		hook->position = i;
		hook->handler = entry.handler;
		hook->private = entry.private;
		hook->ops_status = read_ops(kernel, first + entries.count * stride + i * 8, hook);
		*stopped = hooks->receive(hooks->user, hook);
		TRY(*stopped);
	}
	return KIOKU_OK;
}

static enum kioku_status walk_point(const struct hooks *hooks, uint64_t address,
				    struct netfilter_hook hook)
{
	enum kioku_status stopped = KIOKU_OK;
	enum kioku_status status =
		address ? give_entries(hooks, address, &hook, &stopped) : KIOKU_OK;

	if (status != stopped)
		diagnose(&hooks->kernel->diagnostics, KIOKU_GAP,
			 "netfilter hooks %s of %s in namespace %u: %s", hook.point, hook.family,
			 hooks->namespace->inode, kioku_status_name(status));
	return stopped;
}

static enum kioku_status walk_device(void *user, const struct net_device *device)
{
	const struct hooks *hooks = user;
	struct netfilter_hook ingress = { .family = "netdev",
					  .point = "INGRESS",
					  .device = device };
	struct netfilter_hook egress = { .family = "netdev", .point = "EGRESS", .device = device };
	struct device_points points;

	enum kioku_status status =
		record_read_at(hooks->kernel, &device_points_record, device->address, &points);
	if (status != KIOKU_OK) {
		diagnose(&hooks->kernel->diagnostics, KIOKU_GAP,
			 "netfilter hooks of interface %d in namespace %u: %s", device->index,
			 hooks->namespace->inode, kioku_status_name(status));
		return KIOKU_OK;
	}
	TRY(walk_point(hooks, points.ingress, ingress));
	return walk_point(hooks, points.egress, egress);
}

enum kioku_status netfilter_each(struct kioku_kernel *kernel, const struct net_namespace *namespace,
				 netfilter_hook_fn *receive, void *user, struct kioku_error *error)
{
	static const char *const names[] = { "PRE_ROUTING",  "LOCAL_IN", "FORWARD", "LOCAL_OUT",
					     "POST_ROUTING", "HELLO",    "ROUTE" };
	static const char *const arp_names[] = { "IN", "OUT", "FORWARD" };
	const struct hooks hooks = { kernel, namespace, receive, user };
	const struct binding *binding, *ops;
	struct points points;
	const struct {
		const char *family;
		const uint64_t *points;
		const char *const *names;
		size_t count;
	} families[] = {
		{ "IPv4", points.ipv4, names, 5 },     { "IPv6", points.ipv6, names, 5 },
		{ "ARP", points.arp, arp_names, 3 },   { "bridge", points.bridge, names, 5 },
		{ "DECnet", points.decnet, names, 7 },
	};

	TRY(record_bind(kernel, &points_record, &binding, error));
	TRY(record_bind(kernel, &ops_record, &ops, error));
	TRY(record_read(kernel, binding, namespace->address, &points, error));
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		for (size_t j = 0; j < families[i].count; j++)
			TRY(walk_point(&hooks, families[i].points[j],
				       (struct netfilter_hook){ .family = families[i].family,
								.point = families[i].names[j] }));
	return net_device_each(kernel, namespace, walk_device, (void *)&hooks);
}
