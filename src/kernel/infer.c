/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/infer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "kernel/record.h"
#include "type/type_builder.h"

void infer_member(struct inference *inference, const char *type, const char *name, size_t column,
		  const char *of_type, const char *evidence)
{
	infer_array(inference, type, name, column, of_type, 0, evidence);
}

void infer_array(struct inference *inference, const char *type, const char *name, size_t column,
		 const char *of_type, size_t elements, const char *evidence)
{
	if (inference->count < INFERRED_LIMIT)
		inference->members[inference->count++] =
			(struct inferred_member){ .type = type,
						  .name = name,
						  .offset = column,
						  .of_type = of_type,
						  .elements = elements,
						  .evidence = evidence };
}

void infer_bits(struct inference *inference, const char *type, const char *name, size_t offset,
		uint8_t bit, uint8_t bits, const char *evidence)
{
	size_t count = inference->count;

	infer_member(inference, type, name, offset, "unsigned int", evidence);
	if (inference->count == count)
		return; /* no room */
	inference->members[count].bit = bit;
	inference->members[count].bits = bits;
}

void infer_size(struct inference *inference, const char *type, size_t size)
{
	infer_array(inference, type, NULL, size, NULL, 0, NULL);
}

void infer_constant(struct inference *inference, const char *enumeration, const char *name,
		    size_t value)
{
	size_t limit = sizeof(inference->constants) / sizeof(*inference->constants);

	if (inference->constant_count < limit)
		inference->constants[inference->constant_count++] =
			(struct inferred_constant){ enumeration, name, value };
}

/* The member that a path begins with; NULL: it was not found. */
static const struct inferred_member *find_member(const struct inference *inference,
						 const char *type, const char *path)
{
	size_t size = strcspn(path, ".");

	for (size_t i = 0; i < inference->count; i++) {
		const struct inferred_member *member = &inference->members[i];
		if (member->name && strcmp(member->type, type) == 0 &&
		    strncmp(member->name, path, size) == 0 && member->name[size] == '\0')
			return member;
	}
	return NULL;
}

size_t infer_column(const struct inference *inference, const char *type, const char *name)
{
	const struct inferred_member *member = find_member(inference, type, name);

	return member ? member->offset : NO_COLUMN;
}

static void free_text(char **text)
{
	free(*text);
}

enum kioku_status infer_evidence(const struct inference *inference, struct bytes *out,
				 struct kioku_error *error)
{
	CLEANUP(free_text) char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return error_no_memory(error);
	for (size_t i = 0; i < inference->count; i++) {
		const struct inferred_member *member = &inference->members[i];
		if (member->name)
			fprintf(stream, "%s\t%s\t%s\n", member->type, member->name,
				member->evidence);
	}
	const char *kept =
		fclose(stream) == 0 ? arena_copy(&inference->kernel->arena, text, size) : NULL;
	*out = (struct bytes){ (const uint8_t *)kept, size };
	return kept ? KIOKU_OK : error_no_memory(error);
}

bool infer_read(struct inference *inference, uint64_t virtual, uint64_t *out)
{
	const size_t limit = 1 << 26;
	uint8_t raw[8];

	if (inference->reads++ > limit || !kernel_is_pointer(inference->kernel, virtual) ||
	    kernel_read(inference->kernel, virtual, raw, sizeof(raw), NULL) != KIOKU_OK)
		return false;
	*out = load_le64(raw);
	return true;
}

bool infer_is_linked(struct inference *inference, uint64_t node, uint64_t *next)
{
	uint64_t previous, forth, back;

	return infer_read(inference, node, next) && infer_read(inference, node + 8, &previous) &&
	       infer_read(inference, *next + 8, &back) && infer_read(inference, previous, &forth) &&
	       back == node && forth == node;
}

bool infer_follow(struct inference *inference, const struct samples *rows, size_t count,
		  size_t column, size_t lead, struct samples *out)
{
	out->count = 0;
	for (size_t row = 0; row < count; row++)
		if (!samples_add(inference->kernel, out, sample_u64(rows, row, column) - lead))
			return false;
	return count > 0;
}

bool infer_is_leader(const struct inference *inference, size_t row)
{
	return inference->leaders[row] == inference->tasks.addresses[row];
}

/* --- types of what was found */

struct making {
	const struct inference *inference;
	struct type_builder *builder;
	uint32_t structs[INFERRED_LIMIT]; /* of the type that begins at this member, its number */
};

/* The first member of the same type: it stands for all. */
static size_t first_of(const struct inference *inference, const char *type)
{
	size_t at = 0;

	while (at < inference->count && strcmp(inference->members[at].type, type) != 0)
		at++;
	return at;
}

static const char *tag_of(const char *of_type)
{
	return strncmp(of_type, "struct ", 7) == 0 ? of_type + 7 : NULL;
}

static size_t size_of(const struct inference *inference, const char *of_type);

static size_t size_of_struct(const struct inference *inference, const char *type)
{
	size_t size = 0, whole = 0;

	for (size_t i = 0; i < inference->count; i++) {
		const struct inferred_member *member = &inference->members[i];
		if (strcmp(member->type, type) != 0)
			continue;
		size_t end = 0;
		if (!member->name)
			whole = member->offset;
		else
			end = member->offset + size_of(inference, member->of_type) *
						       (member->elements ? member->elements : 1);
		size = end > size ? end : size;
	}
	return whole ? whole : (size + 7) & ~(size_t)7;
}

static size_t size_of(const struct inference *inference, const char *of_type)
{
	if (tag_of(of_type))
		return size_of_struct(inference, tag_of(of_type));
	if (strcmp(of_type, "char") == 0)
		return 1;
	if (strncmp(of_type, "short", 5) == 0)
		return 2;
	return strstr(of_type, "int") ? 4 : 8;
}

static uint32_t make_type(struct making *making, const struct inferred_member *member)
{
	const char *name = member->of_type, *tag = tag_of(name);
	uint32_t type;

	if (tag)
		type = making->structs[first_of(making->inference, tag)];
	else if (strcmp(name, "void *") == 0)
		type = type_builder_pointer(making->builder, 0);
	else
		type = type_builder_int(making->builder, name,
					(uint32_t)size_of(making->inference, name),
					strcmp(name, "int") == 0 || strcmp(name, "short") == 0
						? BTF_INT_SIGNED
						: 0);
	if (member->elements)
		type = type_builder_array(making->builder, type, (uint32_t)member->elements);
	return type;
}

static void make_struct(struct making *making, size_t first)
{
	const struct inference *inference = making->inference;
	const char *type = inference->members[first].type;
	uint32_t types[INFERRED_LIMIT];

	for (size_t i = first; i < inference->count; i++)
		if (inference->members[i].name && strcmp(inference->members[i].type, type) == 0)
			types[i] = make_type(making, &inference->members[i]);
	type_builder_define(making->builder, making->structs[first]);
	type_builder_struct(making->builder, KIOKU_TYPE_STRUCT, type,
			    (uint32_t)size_of_struct(inference, type));
	for (size_t i = first; i < inference->count; i++)
		if (inference->members[i].name && strcmp(inference->members[i].type, type) == 0)
			type_builder_member(making->builder, inference->members[i].name, types[i],
					    8 * (uint64_t)inference->members[i].offset +
						    inference->members[i].bit,
					    inference->members[i].bits);
}

/* Those of one enumeration follow each other. */
static void make_enums(struct making *making)
{
	const struct inference *inference = making->inference;
	const char *last = "";

	for (size_t i = 0; i < inference->constant_count; i++) {
		const struct inferred_constant *constant = &inference->constants[i];
		if (strcmp(constant->enumeration, last) != 0)
			type_builder_enum(making->builder, constant->enumeration, 4, false);
		last = constant->enumeration;
		type_builder_constant(making->builder, constant->name, constant->value);
	}
}

enum kioku_status infer_apply(struct inference *inference, struct kioku_error *error)
{
	AUTO_TYPE_BUILDER struct type_builder *builder = type_builder_new();
	struct making making = { .inference = inference, .builder = builder };
	struct kioku_types *types;

	if (!builder)
		return error_no_memory(error);
	for (size_t i = 0; i < inference->count; i++)
		if (first_of(inference, inference->members[i].type) == i)
			making.structs[i] = type_builder_reserve(builder);
	for (size_t i = 0; i < inference->count; i++)
		if (first_of(inference, inference->members[i].type) == i)
			make_struct(&making, i);
	make_enums(&making);
	TRY(type_builder_finish(builder, &types, error));
	record_cache_release(inference->kernel);
	types_close(inference->kernel->types);
	inference->kernel->types = types;
	return KIOKU_OK;
}

/* Rows of memory, which nobody needs any more. */
static void release_rows(struct inference *inference)
{
	samples_release(&inference->tasks);
	samples_release(&inference->files);
	free(inference->leaders);
	address_set_release(&inference->known);
	inference->tasks = inference->files = (struct samples){ 0 };
	inference->leaders = NULL;
}

void inference_close(struct inference *inference)
{
	if (inference)
		release_rows(inference);
	free(inference);
}

enum kioku_status infer_types(struct kioku_kernel *kernel, struct inference **out,
			      struct kioku_error *error)
{
	AUTO_INFERENCE struct inference *inference = calloc(1, sizeof(*inference));

	if (!inference)
		return error_no_memory(error);
	*inference = (struct inference){ .kernel = kernel, .pid = NO_COLUMN, .mm = NO_COLUMN };
	/* include/linux/types.h; what lists are made of is the same everywhere. */
	infer_member(inference, "list_head", "next", 0, "void *", "declaration");
	infer_member(inference, "list_head", "prev", 8, "void *", "declaration");
	if (!infer_tasks(inference))
		return error_set(error, KIOKU_ERROR_NOT_FOUND,
				 "no list through init_task is one of tasks");
	infer_memory_maps(inference);
	infer_task_facts(inference);
	infer_credentials(inference);
	infer_paths(inference);
	infer_modules(inference);
	infer_clock(inference);
	infer_orc(inference);
	if (!infer_is_ordered(inference))
		diagnose(&kernel->diagnostics, KIOKU_GAP,
			 "members of a task are not in the order of their declaration: the "
			 "layout is randomised, or tasks are damaged");
	release_rows(inference);
	TRY(infer_apply(inference, error));
	*out = TAKE(inference);
	return KIOKU_OK;
}
