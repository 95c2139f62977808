/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is told of keys, modules, interfaces: the kernel's notifier chains, include/linux/notifier.h. */
#include <stdio.h>

#include "base/address_set.h"
#include "check/handler.h"

enum { BLOCK_LIMIT = 4096 };

struct block {
	uint64_t function, next;
};

static const struct member block_members[] = {
	MEMBER(struct block, function, "notifier_call"),
	MEMBER(struct block, next, "next"),
};
static const struct record block_record = RECORD(struct block, "notifier_block", block_members);

struct chain {
	uint64_t first;
};

static const struct member chain_members[] = { MEMBER(struct chain, first, "head") };
static const struct record atomic_record =
	RECORD(struct chain, "atomic_notifier_head", chain_members);
static const struct record blocking_record =
	RECORD(struct chain, "blocking_notifier_head", chain_members);
static const struct record raw_record = RECORD(struct chain, "raw_notifier_head", chain_members);

static const struct {
	const char *symbol;
	const struct record *record;
} chains[] = {
	{ "keyboard_notifier_list", &atomic_record },
	{ "vt_notifier_list", &atomic_record },
	{ "die_chain", &atomic_record },
	{ "panic_notifier_list", &atomic_record },
	{ "module_notify_list", &blocking_record },
	{ "reboot_notifier_list", &blocking_record },
	{ "inetaddr_chain", &blocking_record },
	{ "netdev_chain", &raw_record },
};

static const struct record *const records[] = { &block_record, NULL };

static enum kioku_status look_at(struct check_run *run, const char *chain, uint64_t address,
				 uint64_t function)
{
	struct handler handler;
	const struct check_result result = {
		.pid = -1,
		.subject = chain,
		.address = address,
		.compared = "functions of notifier chains with code of the kernel and modules",
		.expected = "a function of the kernel, or of a module of its own",
	};

	handler_find(run, function, &handler);
	return handler_report(run, &handler, &result);
}

static void cut(const struct check_run *run, const char *chain, const char *why)
{
	diagnose(&run->kernel->diagnostics, KIOKU_GAP, "%s: %s: the rest of it is lost", chain,
		 why);
}

static enum kioku_status walk(struct check_run *run, const char *chain, uint64_t address)
{
	CLEANUP(address_set_release) struct address_set seen = { 0 };
	struct block block;

	for (unsigned count = 0; address; address = block.next, count++) {
		enum address_set_result added = address_set_add(&seen, address);
		if (added == ADDRESS_NO_MEMORY)
			return KIOKU_ERROR_NO_MEMORY;
		enum kioku_status status =
			record_read_at(run->kernel, &block_record, address, &block);
		if (added == ADDRESS_KNOWN || count == BLOCK_LIMIT || status != KIOKU_OK) {
			cut(run, chain,
			    status != KIOKU_OK ? kioku_status_name(status) : "it does not end");
			return KIOKU_OK;
		}
		TRY(look_at(run, chain, address, block.function));
	}
	return KIOKU_OK;
}

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
		uint64_t symbol = kernel_symbol(run->kernel, chains[i].symbol);
		struct chain chain;

		if (!symbol)
			continue;
		enum kioku_status status =
			record_read_at(run->kernel, chains[i].record, symbol, &chain);
		if (status != KIOKU_OK)
			cut(run, chains[i].symbol, kioku_status_name(status));
		else
			TRY(walk(run, chains[i].symbol, chain.first));
	}
	return KIOKU_OK;
}

const struct check notifiers_check = {
	.name = "notifiers",
	.help = "who is told of keys, modules, interfaces, a panic",
	.records = records,
	.run = run_check,
};
