/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/irq.h"

#include <string.h>

#include "kernel/list.h"
#include "kernel/maple.h"
#include "kernel/percpu.h"
#include "kernel/xarray.h"
#include "type/types.h"

enum {
	NUMBER_LIMIT = 1 << 24, /* more than there may be lines */
	HANDLER_LIMIT = 4096,   /* of one line */
	STATE_LEVEL = 1 << 13,  /* IRQD_LEVEL, include/linux/irq.h, 3.0 to 7.2 */
};

/* --- lines */

static const struct member line_members[] = {
	MEMBER(struct interrupt, number, "irq_data.irq"),
	MEMBER(struct interrupt, hardware, "irq_data.hwirq"),
	MEMBER(struct interrupt, domain, "irq_data.domain"),
	MEMBER(struct interrupt, chip, "irq_data.chip"),
	MEMBER(struct interrupt, shared, "irq_data.common"),
	MEMBER(struct interrupt, name, "name"),
	MEMBER(struct interrupt, flow, "handle_irq"),
	MEMBER(struct interrupt, action, "action"),
	MEMBER(struct interrupt, counts, "kstat_irqs"),
	MEMBER(struct interrupt, depth, "depth"),
};
const struct record interrupt_record = RECORD(struct interrupt, "irq_desc", line_members);

struct shared {
	uint32_t state;
};

static const struct member shared_members[] = {
	MEMBER(struct shared, state, "state_use_accessors"),
};
static const struct record shared_record = RECORD(struct shared, "irq_common_data", shared_members);

struct walk {
	struct kioku_kernel *kernel;
	interrupt_fn *receive;
	void *user;
	uint64_t shared; /* where it is in a struct irq_desc */
};

static enum kioku_status read_line(const struct walk *walk, uint64_t number, uint64_t address,
				   struct interrupt *out)
{
	struct shared shared;

	TRY(record_read_at(walk->kernel, &interrupt_record, address, out));
	if (out->number != number || out->shared != address + walk->shared)
		return KIOKU_ERROR_CORRUPT;
	TRY(record_read_at(walk->kernel, &shared_record, out->shared, &shared));
	out->address = address;
	out->is_level = shared.state & STATE_LEVEL;
	return KIOKU_OK;
}

static enum kioku_status give_line(struct walk *walk, uint64_t number, uint64_t address)
{
	struct interrupt interrupt;

	enum kioku_status status = read_line(walk, number, address, &interrupt);
	if (status == KIOKU_OK)
		return walk->receive(walk->user, &interrupt);
	diagnose(&walk->kernel->diagnostics, KIOKU_GAP, "interrupt %llu: %s",
		 (unsigned long long)number, kioku_status_name(status));
	return KIOKU_OK;
}

static enum kioku_status give_range(void *user, uint64_t first, uint64_t last, uint64_t pointer)
{
	/* Each has a place of its own. */
	return give_line(user, first, last == first ? pointer : 0);
}

static enum kioku_status give_entry(void *user, const struct xarray_entry *entry)
{
	return give_line(user, entry->index, entry->is_value ? 0 : entry->value);
}

enum kioku_status interrupt_each(struct kioku_kernel *kernel, interrupt_fn *receive, void *user,
				 struct kioku_error *error)
{
	uint64_t ranges = kernel_symbol(kernel, "sparse_irqs"); /* v6.5 */
	uint64_t tree = kernel_symbol(kernel, "irq_desc_tree");
	struct walk walk = { .kernel = kernel, .receive = receive, .user = user };
	const struct binding *line, *shared;
	struct type_place place;

	TRY(record_bind(kernel, &interrupt_record, &line, error));
	TRY(record_bind(kernel, &shared_record, &shared, error));
	if (!types_find_place(kernel->types, "struct irq_desc", "irq_common_data", &place))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "struct irq_desc is not as it should be");
	walk.shared = place.offset;
	if (ranges)
		return maple_each(kernel, ranges, "tree of interrupts", give_range, &walk, error);
	if (tree)
		return xarray_each(kernel, tree, 0, NUMBER_LIMIT, "tree of interrupts", give_entry,
				   &walk, error);
	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "this kernel has no tree of interrupts");
}

/* --- what belongs to a line */

static const struct member action_members[] = {
	MEMBER(struct interrupt_handler, function, "handler"),
	MEMBER(struct interrupt_handler, thread_function, "thread_fn"),
	MEMBER(struct interrupt_handler, thread, "thread"),
	MEMBER(struct interrupt_handler, device, "dev_id"),
	MEMBER(struct interrupt_handler, name, "name"),
	MEMBER(struct interrupt_handler, next, "next"),
	MEMBER(struct interrupt_handler, number, "irq"),
};
const struct record interrupt_handler_record =
	RECORD(struct interrupt_handler, "irqaction", action_members);

static enum kioku_status read_action(struct kioku_kernel *kernel, uint32_t number, uint64_t address,
				     struct interrupt_handler *out)
{
	TRY(record_read_at(kernel, &interrupt_handler_record, address, out));
	out->address = address;
	return out->number == number ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

enum kioku_status interrupt_each_handler(struct kioku_kernel *kernel,
					 const struct interrupt *interrupt,
					 interrupt_handler_fn *receive, void *user)
{
	CLEANUP(address_set_release) struct address_set seen = { 0 };
	const struct binding *binding;
	struct interrupt_handler handler;

	TRY(record_bind(kernel, &interrupt_handler_record, &binding, NULL));
	for (uint64_t at = interrupt->action; at; at = handler.next) {
		enum address_set_result added = address_set_add(&seen, at);
		if (added == ADDRESS_NO_MEMORY)
			return KIOKU_ERROR_NO_MEMORY;
		enum kioku_status status =
			added == ADDRESS_KNOWN || seen.count > HANDLER_LIMIT
				? KIOKU_ERROR_CORRUPT
				: read_action(kernel, interrupt->number, at, &handler);
		if (status != KIOKU_OK) {
			diagnose(&kernel->diagnostics, KIOKU_GAP,
				 "interrupt %u: its handlers from 0x%llx on: %s", interrupt->number,
				 (unsigned long long)at, kioku_status_name(status));
			return KIOKU_OK;
		}
		TRY(receive(user, &handler));
	}
	return KIOKU_OK;
}

struct chip {
	uint64_t name;
};

static const struct member chip_members[] = { MEMBER(struct chip, name, "name") };
static const struct record chip_record = RECORD(struct chip, "irq_chip", chip_members);

enum kioku_status interrupt_chip(struct kioku_kernel *kernel, const struct interrupt *interrupt,
				 char out[INTERRUPT_NAME])
{
	struct chip chip;
	size_t size;

	out[0] = '\0';
	if (interrupt->chip == 0)
		return KIOKU_OK;
	TRY(record_read_at(kernel, &chip_record, interrupt->chip, &chip));
	return chip.name ? kernel_read_string(kernel, chip.name, out, INTERRUPT_NAME, &size)
			 : KIOKU_OK;
}

static enum kioku_status read_number(struct kioku_kernel *kernel, uint64_t address, uint32_t *out)
{
	uint8_t raw[4];

	if (!kernel_is_pointer(kernel, address))
		return KIOKU_ERROR_CORRUPT;
	TRY(kernel_read(kernel, address, raw, sizeof(raw), NULL));
	*out = load_le32(raw);
	return KIOKU_OK;
}

/* A number, or since v6.11 a struct irqstat that begins with it. */
enum kioku_status interrupt_count(struct kioku_kernel *kernel, const struct interrupt *interrupt,
				  uint32_t cpu, uint32_t *out)
{
	uint64_t address;

	TRY(percpu_pointer(kernel, interrupt->counts, cpu, &address, NULL));
	return read_number(kernel, address, out);
}

enum kioku_status interrupt_cpus(struct kioku_kernel *kernel, const struct interrupt *interrupt,
				 enum interrupt_mask which, uint8_t *out, size_t size)
{
	static const char *const names[] = { "affinity", "effective_affinity" };
	struct kioku_member member;
	uint8_t raw[8];
	uint32_t id;

	memset(out, 0, size);
	TRY(kioku_types_find(kernel->types, "struct irq_common_data", &id, NULL));
	if (kioku_type_member(kernel->types, id, names[which], &member, NULL) != KIOKU_OK)
		return KIOKU_ERROR_UNSUPPORTED;
	uint64_t address = interrupt->shared + member.bit_offset / 8;
	uint32_t type = types_resolve(kernel->types, member.type);
	/* cpumask_var_t: of many CPUs a pointer, of few the mask itself (CONFIG_CPUMASK_OFFSTACK). */
	if (kioku_type_kind(kernel->types, type) == KIOKU_TYPE_POINTER) {
		TRY(kernel_read(kernel, address, raw, sizeof(raw), NULL));
		address = load_le64(raw);
	} else if (kioku_type_size(kernel->types, type) < size) {
		size = (size_t)kioku_type_size(kernel->types, type);
	}
	if (!kernel_is_pointer(kernel, address))
		return KIOKU_ERROR_CORRUPT;
	return kernel_read(kernel, address, out, size, NULL);
}

/* --- softirqs */

enum kioku_status softirq_each(struct kioku_kernel *kernel, softirq_fn *receive, void *user,
			       struct kioku_error *error)
{
	uint64_t vector = kernel_symbol(kernel, "softirq_vec");
	uint64_t names = kernel_symbol(kernel, "softirq_to_name");
	uint64_t size = types_size_of(kernel->types, "struct softirq_action");
	struct type_place counts, action;

	/* NR_SOFTIRQS: there is a counter for each. */
	if (!vector || size == 0 ||
	    !types_find_place(kernel->types, "struct softirq_action", "action", &action) ||
	    !types_find_place(kernel->types, "struct kernel_stat", "softirqs", &counts))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "the softirqs are not known");
	for (uint32_t i = 0; i < counts.size / sizeof(uint32_t) && i < 64; i++) {
		struct interrupt_handler handler = { .address = vector + i * size, .number = i };
		char name[INTERRUPT_NAME];
		uint8_t raw[8];
		size_t length;
		enum kioku_status status = kernel_read(kernel, handler.address + action.offset, raw,
						       sizeof(raw), NULL);
		if (status != KIOKU_OK) {
			diagnose(&kernel->diagnostics, KIOKU_GAP, "softirq %u: %s", i,
				 kioku_status_name(status));
			continue;
		}
		handler.function = load_le64(raw);
		bool has_name =
			names && kernel_read(kernel, names + 8 * i, raw, 8, NULL) == KIOKU_OK &&
			kernel_read_string(kernel, load_le64(raw), name, sizeof(name), &length) ==
				KIOKU_OK;
		TRY(receive(user, i, has_name ? name : NULL, &handler));
	}
	return KIOKU_OK;
}

enum kioku_status softirq_count(struct kioku_kernel *kernel, uint32_t number, uint32_t cpu,
				uint32_t *out)
{
	struct type_place counts;
	uint64_t address;

	if (!types_find_place(kernel->types, "struct kernel_stat", "softirqs", &counts))
		return KIOKU_ERROR_UNSUPPORTED;
	TRY(percpu_address(kernel, "kstat", cpu, &address, NULL));
	return read_number(kernel, address + counts.offset + number * sizeof(uint32_t), out);
}

/* --- NMIs */

struct nmi {
	uint64_t list; /* of this only the place matters */
	uint64_t function, name;
};

static const struct member nmi_members[] = {
	MEMBER(struct nmi, list, "list.next"),
	MEMBER(struct nmi, function, "handler"),
	MEMBER(struct nmi, name, "name"),
};
static const struct record nmi_record = RECORD(struct nmi, "nmiaction", nmi_members);

static enum kioku_status walk_nmis(struct kioku_kernel *kernel, const struct binding *binding,
				   uint64_t head, const char *kind, nmi_fn *receive, void *user)
{
	AUTO_LIST_WALK struct list_walk list;
	uint64_t node;

	list_begin(&list, kernel, head, "handlers of NMIs");
	while (list_next(&list, &node)) {
		struct interrupt_handler handler = {
			.address = node - BINDING_OFFSET(binding, struct nmi, list),
		};
		struct nmi nmi;
		enum kioku_status status =
			record_read(kernel, binding, handler.address, &nmi, NULL);
		if (status != KIOKU_OK) {
			list_reject(&list, kioku_status_name(status));
			continue;
		}
		handler.function = nmi.function;
		handler.name = nmi.name;
		TRY(receive(user, kind, &handler));
	}
	return KIOKU_OK;
}

enum kioku_status nmi_each(struct kioku_kernel *kernel, nmi_fn *receive, void *user,
			   struct kioku_error *error)
{
	/* arch/x86/include/asm/nmi.h, 3.3 to 7.2 */
	static const char *const kinds[] = { "local", "unknown", "serr", "io_check" };
	uint64_t table = kernel_symbol(kernel, "nmi_desc");
	uint64_t size = types_size_of(kernel->types, "struct nmi_desc");
	const struct binding *binding;
	struct type_place head;

	TRY(record_bind(kernel, &nmi_record, &binding, error));
	if (!table || size == 0 ||
	    !types_find_place(kernel->types, "struct nmi_desc", "head", &head))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "the handlers of NMIs are not known");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		TRY(walk_nmis(kernel, binding, table + i * size + head.offset, kinds[i], receive,
			      user));
	return KIOKU_OK;
}
