/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of thousands of units that say the same, one definition each. */
#include "base/error.h"
#include "base/growing.h"
#include "base/key_table.h"
#include "type/dwarf_reader.h"

#define QUEUE_LIMIT (1u << 24)

bool dwarf_is_aggregate(int tag)
{
	return tag == DW_TAG_structure_type || tag == DW_TAG_class_type ||
	       tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type;
}

static bool grow_heads(struct dwarf_reader *reader)
{
	uint32_t count = reader->head_count ? reader->head_count * 2 : 1u << 12;

	if (reader->count < reader->head_count)
		return true;
	uint32_t *heads = calloc(count, sizeof(*heads));
	if (!heads) {
		reader->status = KIOKU_ERROR_NO_MEMORY;
		return false;
	}
	free(reader->heads);
	reader->heads = heads;
	reader->head_count = count;
	for (size_t i = reader->count; i-- > 0;) {
		uint32_t *head = &heads[reader->items[i].hash & (count - 1)];
		reader->items[i].next = *head;
		*head = (uint32_t)i + 1;
	}
	return true;
}

static struct dwarf_item *add_item(struct dwarf_reader *reader, struct dwarf_item item)
{
	if (reader->status != KIOKU_OK || !grow_heads(reader))
		return NULL;
	if (reader->count == QUEUE_LIMIT) {
		reader->status = KIOKU_ERROR_LIMIT;
		return NULL;
	}
	if (!GROW(reader->items, reader->count, reader->capacity)) {
		reader->status = KIOKU_ERROR_NO_MEMORY;
		return NULL;
	}
	uint32_t *head = &reader->heads[item.hash & (reader->head_count - 1)];
	item.next = *head;
	reader->items[reader->count] = item;
	*head = (uint32_t)++reader->count;
	return &reader->items[reader->count - 1];
}

static struct dwarf_item *first_of(struct dwarf_reader *reader, uint32_t hash)
{
	uint32_t at = reader->head_count ? reader->heads[hash & (reader->head_count - 1)] : 0;

	return at ? &reader->items[at - 1] : NULL;
}

/* Counted, for a file may have any number of definitions of one name. */
static struct dwarf_item *next_of(struct dwarf_reader *reader, const struct dwarf_item *item)
{
	return item->next && dwarf_reader_spend(reader) ? &reader->items[item->next - 1] : NULL;
}

/* The item of a definition that has a name; NULL: there was none like it so far. */
static struct dwarf_item *find_definition(struct dwarf_reader *reader,
					  const struct dwarf_item *like)
{
	struct dwarf_item *item = first_of(reader, like->hash);

	for (; item; item = next_of(reader, item))
		if (item->hash == like->hash && item->tag == like->tag && item->name &&
		    item->size == like->size && item->line == like->line &&
		    (item->name == like->name || strcmp(item->name, like->name) == 0) &&
		    (item->first == like->first || strcmp(item->first, like->first) == 0))
			return item;
	return NULL;
}

struct dwarf_item *dwarf_item_named(struct dwarf_reader *reader, int tag, const char *name)
{
	uint32_t hash = key_hash(reader->seed, bytes_of_text(name));
	struct dwarf_item *item = first_of(reader, hash), *best = NULL;

	for (; item; item = next_of(reader, item))
		if (item->hash == hash && item->tag == tag && item->name &&
		    strcmp(item->name, name) == 0 && (!best || item->users > best->users))
			best = item;
	return best;
}

struct dwarf_item *dwarf_item_at(struct dwarf_reader *reader, Dwarf_Die *die, int tag)
{
	const struct bytes place = { (const uint8_t *)&die->addr, sizeof(die->addr) };
	uint32_t hash = key_hash(reader->seed, place);
	struct dwarf_item *item = first_of(reader, hash);

	for (; item; item = next_of(reader, item))
		if (!item->name && item->die.addr == die->addr)
			return item;
	return add_item(reader, (struct dwarf_item){ .die = *die, .hash = hash, .tag = tag });
}

struct dwarf_item *dwarf_item_defined(struct dwarf_reader *reader, Dwarf_Die *die, int tag,
				      const struct die_facts *facts)
{
	struct dwarf_item item = { .die = *die,
				   .name = facts->name,
				   .hash = key_hash(reader->seed, bytes_of_text(facts->name)),
				   .size = facts->size,
				   .line = facts->line,
				   .first = die_first_name(reader, die),
				   .tag = tag };
	struct dwarf_item *found = find_definition(reader, &item);

	return found ? found : add_item(reader, item);
}
