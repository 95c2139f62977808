/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Netfilter hooks of a made kernel, whole, damaged and hostile. */
#include "kernel/netfilter.h"
#include "test_kernel.h"

#define NET     (MADE_BASE + 0x100000)
#define ENTRIES (MADE_BASE + 0x110000)
#define OPS     (MADE_BASE + 0x120000)
#define DEVICE  (MADE_BASE + 0x130000)
#define CODE    0xffffffff81000000ull

static const char layout[] =
	"struct list_head 16 next u64@0 prev u64@8\n"
	"struct netns_nf 144 hooks_ipv4 u64[5]@0 hooks_ipv6 u64[5]@40 hooks_arp u64[3]@80 "
	"hooks_bridge u64[5]@104\n"
	"struct net 256 dev_base_head list_head@0 nf netns_nf@16\n"
	"struct net_device 128 dev_list list_head@0 name char[16]@16 ifindex s32@32 flags u32@36 "
	"mtu u32@40 type u16@44 addr_len u8@46 dev_addr u64@48 nf_hooks_ingress u64@56\n"
	"struct nf_hook_entry 16 hook u64@0 priv u64@8\n"
	"struct nf_hook_entries 8 num_hook_entries u16@0 hooks u64[2]@8\n"
	"struct nf_hook_ops 40 hook u64@0 priv u64@16 priority s32@32\n";

struct given {
	struct netfilter_hook hooks[16];
	size_t count;
};

static enum kioku_status take(void *user, const struct netfilter_hook *hook)
{
	struct given *given = user;

	CHECK(given->count < 16);
	given->hooks[given->count++] = *hook;
	return KIOKU_OK;
}

static size_t walk(struct made *made, struct given *given)
{
	const struct net_namespace namespace = { .address = NET, .inode = 1 };

	given->count = 0;
	made->gaps = 0;
	CHECK_EQUAL(netfilter_each(&made->kernel, &namespace, take, given, NULL), KIOKU_OK);
	return given->count;
}

/* count functions, the first of which has the lowest priority. */
static void put_entries(struct made *made, uint64_t at, unsigned count)
{
	made_set(made, at, "nf_hook_entries", "num_hook_entries", count);
	for (unsigned i = 0; i < count; i++) {
		uint64_t ops = OPS + 0x40 * i;
		made_set(made, at + 8 + 16 * i, "nf_hook_entry", "hook", CODE + 0x100 * i);
		made_put(made, at + 8 + 16 * count + 8 * i, 8, ops);
		made_set(made, ops, "nf_hook_ops", "hook", CODE + 0x100 * i);
		made_set(made, ops, "nf_hook_ops", "priority", (uint64_t)(-300 + 100 * (int)i));
	}
}

/* Three functions for IPv4, at LOCAL_IN, and of an interface its first one. */
static void make(struct made *made)
{
	made_open(made, layout);
	made_put(made, NET, 8, DEVICE);
	made_put(made, NET + 8, 8, DEVICE);
	made_put(made, DEVICE, 8, NET);
	made_put(made, DEVICE + 8, 8, NET);
	made_text(made, DEVICE + 16, "eth0");
	made_set(made, DEVICE, "net_device", "ifindex", 2);
	made_set(made, DEVICE, "net_device", "nf_hooks_ingress", ENTRIES + 0x1000);
	made_put(made, NET + 16 + 8, 8, ENTRIES);
	put_entries(made, ENTRIES, 3);
	put_entries(made, ENTRIES + 0x1000, 1);
}

static void gives_all_hooks(void)
{
	struct given given;
	struct made made;

	make(&made);
	CHECK_EQUAL(walk(&made, &given), 4);
	CHECK_EQUAL(made.gaps, 0);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(given.hooks[i].handler == CODE + 0x100 * i);
		CHECK_EQUAL(given.hooks[i].priority, -300 + 100 * (int)i);
		CHECK_EQUAL(given.hooks[i].position, i);
		CHECK(strcmp(given.hooks[i].family, "IPv4") == 0);
		CHECK(strcmp(given.hooks[i].point, "LOCAL_IN") == 0);
	}
	CHECK(strcmp(given.hooks[3].family, "netdev") == 0);
	made_close(&made);
}

/* A function that was put in the place of another one is given, without what belongs to that one. */
static void doubts_other_functions(void)
{
	struct given given;
	struct made made;

	make(&made);
	made_set(&made, ENTRIES + 8 + 16, "nf_hook_entry", "hook", CODE + 0x7000);
	CHECK_EQUAL(walk(&made, &given), 4);
	CHECK(given.hooks[1].handler == CODE + 0x7000);
	CHECK_EQUAL(given.hooks[0].ops_status, KIOKU_OK);
	CHECK_EQUAL(given.hooks[1].ops_status, KIOKU_ERROR_CORRUPT);
	made_close(&made);
}

static void survives_hostile_hooks(void)
{
	static const uint64_t wild[] = { 0x1000, MADE_BASE + MACHINE_SIZE, 0xffffffffffffff00 };
	struct given given;
	struct made made;

	make(&made);
	made_set(&made, ENTRIES, "nf_hook_entries", "num_hook_entries", 0xffff);
	CHECK_EQUAL(walk(&made, &given), 1);
	CHECK_EQUAL(made.gaps, 1);
	for (size_t i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
		made_put(&made, NET + 16 + 8, 8, wild[i]);
		CHECK_EQUAL(walk(&made, &given), 1);
		CHECK_EQUAL(made.gaps, 1);
	}
	made_close(&made);
}

TAP_MAIN(TEST(gives_all_hooks), TEST(doubts_other_functions), TEST(survives_hostile_hooks))
