/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layouts as pahole prints them: a C declaration with offsets, sizes and holes in comments. */
#include "base/error.h"
#include "type/declaration.h"

#define DEPTH_LIMIT    16    /* anonymous structs in anonymous structs */
#define LINE_LIMIT     20000 /* bounds for types made of themselves */
#define OUTPUT_LIMIT   (2l << 20)
#define TYPE_COLUMN    26
#define COMMENT_COLUMN 57

struct printer {
	const struct kioku_types *types;
	FILE *out;
	unsigned lines;
	bool failed;
};

static bool too_long(const struct printer *printer)
{
	return printer->lines >= LINE_LIMIT || ftell(printer->out) > OUTPUT_LIMIT;
}

static void indent(struct printer *printer, unsigned depth)
{
	printer->lines++;
	for (unsigned i = 0; i < depth; i++)
		fputc('\t', printer->out);
}

static void pad(struct printer *printer, int used, int column)
{
	fprintf(printer->out, "%*s", used < column ? column - used : 1, "");
}

static void print_enum_values(struct printer *printer, const struct btf_record *record,
			      unsigned depth)
{
	for (uint32_t i = 0; i < record->length && !too_long(printer); i++) {
		struct btf_value value = btf_value(record, i);
		indent(printer, depth);
		fprintf(printer->out, "%s = ", types_string(printer->types, value.name));
		/* An enumeration says since v6.0 whether it is signed; before, no flag meant yes. */
		if (record->kind == KIOKU_TYPE_ENUM64 && !record->flag)
			fprintf(printer->out, "%llu,\n", (unsigned long long)value.value);
		else
			fprintf(printer->out, "%lld,\n", (long long)value.value);
	}
}

/* "126: 0  1" or "126     8": where a member is, and how large its type. */
static void print_place(struct printer *printer, const struct kioku_member *member, uint64_t base)
{
	uint64_t size = kioku_type_size(printer->types, member->type);
	uint64_t bits = base + member->bit_offset;
	uint64_t unit = size ? size * 8 : 8;

	if (member->bit_size) {
		/* The unit that a bit field lies in starts at a multiple of its size. */
		fprintf(printer->out, "/* %5llu:%2llu %2llu */\n",
			(unsigned long long)(bits / unit * unit / 8),
			(unsigned long long)(bits % unit), (unsigned long long)size);
		return;
	}
	fprintf(printer->out, "/* %5llu %5llu */\n", (unsigned long long)(bits / 8),
		(unsigned long long)size);
}

/* Says what lies unused between two bits of a struct. */
static void print_hole(struct printer *printer, uint64_t from, uint64_t to, unsigned depth)
{
	uint64_t bytes = to / 8 - (from + 7) / 8;
	uint64_t bits = from % 8 ? 8 - from % 8 : 0;

	if (to <= from)
		return;
	if (to / 8 < (from + 7) / 8) {
		bytes = 0;
		bits = to - from;
	} else {
		bits += to % 8;
	}
	fputc('\n', printer->out);
	if (bits) {
		indent(printer, depth);
		fprintf(printer->out, "/* XXX %llu bit%s hole */\n", (unsigned long long)bits,
			bits == 1 ? "" : "s");
	}
	if (bytes) {
		indent(printer, depth);
		fprintf(printer->out, "/* XXX %llu byte%s hole */\n", (unsigned long long)bytes,
			bytes == 1 ? "" : "s");
	}
	fputc('\n', printer->out);
}

static void print_body(struct printer *printer, const struct btf_record *record, uint64_t base,
		       unsigned depth);

static const char *body_keyword(const struct btf_record *record)
{
	switch (record->kind) {
	case KIOKU_TYPE_STRUCT: return "struct";
	case KIOKU_TYPE_UNION: return "union";
	default: return "enum";
	}
}

static void print_member(struct printer *printer, const struct kioku_member *member, uint64_t base,
			 unsigned depth)
{
	AUTO_DECLARATION struct declaration text =
		declare(printer->types, member->type, member->name);
	struct btf_record body;
	int used = 0;

	if (!text.left || !text.right) {
		printer->failed = true;
		return;
	}
	indent(printer, depth);
	if (text.body && depth < DEPTH_LIMIT && types_record(printer->types, text.body, &body)) {
		fprintf(printer->out, "%s {\n", body_keyword(&body));
		/* What a pointer leads to is not inside. */
		uint64_t start = strchr(text.right, '*') ? 0 : base + member->bit_offset;
		print_body(printer, &body, start, depth + 1);
		indent(printer, depth);
		used = fprintf(printer->out, "}%s%s", *text.right ? " " : "", text.right);
	} else {
		int column = TYPE_COLUMN - 8 * ((int)depth - 1);
		used = fprintf(printer->out, "%-*s %s", column > 0 ? column : 0, text.left,
			       text.right);
	}
	if (member->bit_size)
		used += fprintf(printer->out, ":%u", member->bit_size);
	used += fprintf(printer->out, ";");
	pad(printer, used + 8 * (int)depth, COMMENT_COLUMN);
	print_place(printer, member, base);
}

static uint64_t member_end(const struct kioku_types *types, const struct kioku_member *member)
{
	uint64_t size = kioku_type_size(types, member->type);

	if (member->bit_size)
		return member->bit_offset + member->bit_size;
	return size > UINT32_MAX ? member->bit_offset : member->bit_offset + 8 * size;
}

/* The members with the holes between them; base, in bits, is where the struct itself starts. */
static void print_body(struct printer *printer, const struct btf_record *record, uint64_t base,
		       unsigned depth)
{
	uint64_t end = 0;

	if (record->kind == KIOKU_TYPE_ENUM || record->kind == KIOKU_TYPE_ENUM64) {
		print_enum_values(printer, record, depth);
		return;
	}
	for (uint32_t i = 0; i < record->length && !too_long(printer); i++) {
		struct kioku_member member = types_member(printer->types, record, i);
		if (record->kind == KIOKU_TYPE_STRUCT)
			print_hole(printer, end, member.bit_offset, depth);
		print_member(printer, &member, base, depth);
		uint64_t after = member_end(printer->types, &member);
		if (after > end)
			end = after;
	}
	if (record->kind == KIOKU_TYPE_STRUCT && depth > 1)
		print_hole(printer, end, 8ull * record->size, depth);
}

static void print_aggregate(struct printer *printer, const struct btf_record *record)
{
	const char *name = types_string(printer->types, record->name);
	uint64_t end = 0;

	fprintf(printer->out, "%s%s%s {\n", body_keyword(record), *name ? " " : "", name);
	print_body(printer, record, 0, 1);
	if (record->kind == KIOKU_TYPE_STRUCT || record->kind == KIOKU_TYPE_UNION) {
		for (uint32_t i = 0; i < record->length; i++) {
			struct kioku_member member = types_member(printer->types, record, i);
			uint64_t after = member_end(printer->types, &member);
			if (after > end)
				end = after;
		}
		fprintf(printer->out, "\n\t/* size: %u, members: %u */\n", record->size,
			record->length);
		if (record->length > 0 && 8ull * record->size > end + 7)
			fprintf(printer->out, "\t/* padding: %llu */\n",
				(unsigned long long)(record->size - (end + 7) / 8));
	}
	fputc('}', printer->out);
}

/* Prints one type as a declaration of its own; false if there is nothing to print. */
static bool print_type(struct printer *printer, uint32_t id)
{
	struct btf_record record, body;

	if (!types_record(printer->types, id, &record))
		return false;
	const char *name = types_string(printer->types, record.name);
	switch (record.kind) {
	case KIOKU_TYPE_STRUCT:
	case KIOKU_TYPE_UNION:
	case KIOKU_TYPE_ENUM:
	case KIOKU_TYPE_ENUM64:
		print_aggregate(printer, &record);
		fputs(";\n", printer->out);
		return true;
	case KIOKU_TYPE_TYPEDEF:
	case KIOKU_TYPE_VARIABLE:
	case KIOKU_TYPE_FUNCTION: break;
	default: return false;
	}
	AUTO_DECLARATION struct declaration text = declare(printer->types, record.type, name);
	if (!text.left || !text.right) {
		printer->failed = true;
		return true;
	}
	if (record.kind == KIOKU_TYPE_TYPEDEF)
		fputs("typedef ", printer->out);
	if (text.body && types_record(printer->types, text.body, &body))
		print_aggregate(printer, &body);
	else
		fputs(text.left, printer->out);
	fprintf(printer->out, " %s;\n", text.right);
	return true;
}

enum kioku_status kioku_type_print(const struct kioku_types *types, uint32_t id, char **out,
				   struct kioku_error *error)
{
	AUTO_FREE char *text = NULL;
	size_t size;
	struct printer printer = { .types = types };

	printer.out = open_memstream(&text, &size);
	if (!printer.out)
		return error_no_memory(error);
	bool printed = print_type(&printer, id);
	bool cut = too_long(&printer);
	if (fclose(printer.out) != 0 || printer.failed)
		return error_no_memory(error);
	if (!printed)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "type %u has no layout to print",
				 id);
	if (cut)
		return error_set(error, KIOKU_ERROR_LIMIT, "type %u has too many members", id);
	*out = TAKE(text);
	return KIOKU_OK;
}
