/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/next_hop.h"

#include <string.h>
#include <sys/socket.h>

enum { HOP_LIMIT = 8192 }; /* as many as an attribute of netlink has room for */

static const struct member hop_members[] = {
	MEMBER(struct next_hop, device, "nh_common.nhc_dev", "nh_dev"), /* v5.2 */
	MEMBER(struct next_hop, flags, "nh_common.nhc_flags", "nh_flags"),
	OPTIONAL(struct next_hop, weight, "nh_common.nhc_weight", "nh_weight"),
	OPTIONAL(struct next_hop, gateway_family, "nh_common.nhc_gw_family"),
	OPTIONAL(struct next_hop, gateway, "nh_common.nhc_gw.ipv6.in6_u.u6_addr8",
		 "nh_gw.in6_u.u6_addr8"),
	OPTIONAL(struct next_hop, gateway4, "nh_gw"),
};
static const struct record hop4_record = RECORD(struct next_hop, "fib_nh", hop_members);
static const struct record hop6_record = RECORD(struct next_hop, "fib6_nh", hop_members);

struct object {
	uint64_t content; /* struct nh_info or nh_group */
	uint32_t id;
	uint8_t is_group;
};

static const struct member object_members[] = {
	MEMBER(struct object, content, "nh_info"),
	MEMBER(struct object, id, "id"),
	MEMBER(struct object, is_group, "is_group"),
};
static const struct record object_record = RECORD(struct object, "nexthop", object_members);

struct single {
	uint64_t parent, device;
	uint8_t is_blackhole;
};

static const struct member single_members[] = {
	MEMBER(struct single, parent, "nh_parent"),
	MEMBER(struct single, device, "fib_nhc.nhc_dev"),
	MEMBER(struct single, is_blackhole, "reject_nh"),
};
static const struct record single_record = RECORD(struct single, "nh_info", single_members);

struct group {
	uint16_t count;
	uint8_t entries; /* of this only the place matters */
};

static const struct member group_members[] = {
	MEMBER(struct group, count, "num_nh"),
	MEMBER(struct group, entries, "nh_entries"),
};
static const struct record group_record = RECORD(struct group, "nh_group", group_members);

struct entry {
	uint64_t object, parent;
	uint16_t weight;
};

static const struct member entry_members[] = {
	MEMBER(struct entry, object, "nh"),
	MEMBER(struct entry, parent, "nh_parent"),
	MEMBER(struct entry, weight, "weight"),
};
static const struct record entry_record = RECORD(struct entry, "nh_grp_entry", entry_members);

static enum kioku_status read_hop(struct kioku_kernel *kernel, int family, uint64_t address,
				  struct next_hop *out)
{
	static const uint8_t none[16];
	const struct record *record = family == AF_INET ? &hop4_record : &hop6_record;
	const struct binding *binding;

	TRY(record_bind(kernel, record, &binding, NULL));
	TRY(record_read_at(kernel, record, address, out));
	out->object = 0;
	out->is_blackhole = false;
	if (!BINDING_HAS(binding, struct next_hop, gateway_family)) {
		if (family == AF_INET)
			memcpy(out->gateway, &out->gateway4, sizeof(out->gateway4));
		out->gateway_family = memcmp(out->gateway, none, 16) ? (uint8_t)family : 0;
	}
	return out->gateway_family == 0 || out->gateway_family == AF_INET ||
			       out->gateway_family == AF_INET6
		       ? KIOKU_OK
		       : KIOKU_ERROR_CORRUPT;
}

/* --- nexthop objects, v5.3 on */

static enum kioku_status read_single(struct kioku_kernel *kernel, uint64_t address,
				     const struct object *object, struct next_hop *out)
{
	const struct binding *binding, *hop;
	struct single single;

	TRY(record_bind(kernel, &single_record, &binding, NULL));
	TRY(record_bind(kernel, &hop4_record, &hop, NULL));
	TRY(record_read_at(kernel, &single_record, object->content, &single));
	if (single.parent != address)
		return KIOKU_ERROR_CORRUPT;
	/* What hops of both families have in common is all that is read of them. */
	TRY(read_hop(kernel, AF_INET,
		     object->content + BINDING_OFFSET(binding, struct single, device) -
			     BINDING_OFFSET(hop, struct next_hop, device),
		     out));
	out->is_blackhole = single.is_blackhole != 0;
	return KIOKU_OK;
}

static enum kioku_status each_of_group(struct kioku_kernel *kernel, uint64_t address,
				       const struct object *object, next_hop_fn *receive,
				       void *user)
{
	uint64_t stride = types_size_of(kernel->types, "struct nh_grp_entry");
	const struct binding *binding;
	struct group group;

	TRY(record_bind(kernel, &group_record, &binding, NULL));
	TRY(record_read_at(kernel, &group_record, object->content, &group));
	uint64_t at = object->content + BINDING_OFFSET(binding, struct group, entries);
	if (group.count > HOP_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	for (unsigned i = 0; i < group.count; i++, at += stride) {
		struct object member;
		struct next_hop hop;
		struct entry entry;
		TRY(record_read_at(kernel, &entry_record, at, &entry));
		if (entry.parent != address)
			return KIOKU_ERROR_CORRUPT;
		TRY(record_read_at(kernel, &object_record, entry.object, &member));
		/* A group is not of groups. */
		if (member.is_group)
			return KIOKU_ERROR_CORRUPT;
		TRY(read_single(kernel, entry.object, &member, &hop));
		hop.weight = entry.weight;
		hop.object = object->id;
		TRY(receive(user, &hop));
	}
	return KIOKU_OK;
}

static enum kioku_status each_of_object(struct kioku_kernel *kernel, uint64_t address,
					next_hop_fn *receive, void *user)
{
	struct object object;
	struct next_hop hop;

	TRY(record_read_at(kernel, &object_record, address, &object));
	if (object.is_group)
		return each_of_group(kernel, address, &object, receive, user);
	TRY(read_single(kernel, address, &object, &hop));
	hop.object = object.id;
	return receive(user, &hop);
}

enum kioku_status next_hop_each(struct kioku_kernel *kernel, const struct next_hops *hops,
				next_hop_fn *receive, void *user)
{
	uint64_t stride = types_size_of(kernel->types, hops->family == AF_INET ? "struct fib_nh"
									       : "struct fib6_nh");

	if (hops->object)
		return each_of_object(kernel, hops->object, receive, user);
	if (hops->count > HOP_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	for (uint32_t i = 0; i < hops->count; i++) {
		struct next_hop hop;
		TRY(read_hop(kernel, hops->family, hops->start + i * stride, &hop));
		TRY(receive(user, &hop));
	}
	return KIOKU_OK;
}
