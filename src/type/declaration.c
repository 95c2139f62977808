/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "type/declaration.h"

#define STEP_LIMIT  64   /* pointers to arrays of pointers ... in one declaration */
#define DEPTH_LIMIT 8    /* parameters that are functions with parameters ... */
#define SIZE_LIMIT  2048 /* of all parameters, in characters */

/* A declarator grows from its name to both sides; what it is a declarator of comes last. */
struct declarator {
	char before[256]; /* ends at its end */
	size_t start;     /* of what is in before */
	FILE *after;
	bool pointer; /* the last thing added was "*": what comes after needs parentheses */
	bool grouped;
};

static void prepend(struct declarator *declarator, const char *text)
{
	size_t size = strlen(text);

	if (size > declarator->start)
		return;
	declarator->start -= size;
	memcpy(declarator->before + declarator->start, text, size);
}

static void group(struct declarator *declarator)
{
	if (!declarator->pointer)
		return;
	prepend(declarator, "(");
	fputc(')', declarator->after);
	declarator->pointer = false;
	declarator->grouped = true;
}

static void print_parameters(const struct kioku_types *types, const struct btf_record *record,
			     unsigned depth, FILE *out);

/*
 * Goes from the name outward up to what is no derived type, and returns that. Qualifiers of a
 * pointer go to the declarator, others are returned to be put in front.
 */
static uint32_t derive(const struct kioku_types *types, uint32_t id, unsigned depth,
		       struct declarator *declarator, const char **qualifiers)
{
	bool is_const = false;
	bool is_volatile = false;
	struct btf_record record;

	for (unsigned i = 0; i < STEP_LIMIT && types_record(types, id, &record); i++) {
		switch (record.kind) {
		case KIOKU_TYPE_CONST: is_const = true; break;
		case KIOKU_TYPE_VOLATILE: is_volatile = true; break;
		case KIOKU_TYPE_RESTRICT:
		case KIOKU_TYPE_TYPE_TAG: break;
		case KIOKU_TYPE_POINTER:
			if (is_volatile)
				prepend(declarator, "volatile ");
			if (is_const)
				prepend(declarator, "const ");
			is_const = is_volatile = false;
			prepend(declarator, "*");
			declarator->pointer = true;
			break;
		case KIOKU_TYPE_ARRAY:
			group(declarator);
			fprintf(declarator->after, "[%u]", btf_array(&record).count);
			record.type = btf_array(&record).type;
			break;
		case KIOKU_TYPE_FUNCTION_PROTOTYPE:
			group(declarator);
			print_parameters(types, &record, depth, declarator->after);
			break;
		default:
			*qualifiers = is_const && is_volatile ? "const volatile "
				      : is_const              ? "const "
				      : is_volatile           ? "volatile "
							      : "";
			return id;
		}
		id = record.type;
	}
	*qualifiers = is_const ? "const " : is_volatile ? "volatile " : "";
	return types_record(types, id, &record) ? UINT32_MAX : 0;
}

static void print_base(const struct kioku_types *types, uint32_t id, FILE *out)
{
	struct btf_record record;

	if (!types_record(types, id, &record)) {
		fputs(id == 0 ? "void" : "...", out);
		return;
	}
	const char *keyword = "";
	switch (record.kind) {
	case KIOKU_TYPE_STRUCT: keyword = "struct "; break;
	case KIOKU_TYPE_UNION: keyword = "union "; break;
	case KIOKU_TYPE_FORWARD: keyword = record.flag ? "union " : "struct "; break;
	case KIOKU_TYPE_ENUM:
	case KIOKU_TYPE_ENUM64: keyword = "enum "; break;
	default: break;
	}
	const char *name = types_string(types, record.name);
	fprintf(out, "%s%s", keyword, *name ? name : "{...}");
}

/* The same as declare(), at once; name may be "". */
static void print_declaration(const struct kioku_types *types, uint32_t id, const char *name,
			      unsigned depth, FILE *left, FILE *right, uint32_t *body)
{
	AUTO_FREE char *after = NULL;
	struct declarator declarator = { .start = sizeof(declarator.before) };
	const char *qualifiers = "";
	size_t size;

	declarator.after = open_memstream(&after, &size);
	if (!declarator.after)
		return;
	uint32_t base = derive(types, id, depth, &declarator, &qualifiers);
	if (fclose(declarator.after) != 0)
		return;

	struct btf_record record;
	bool anonymous = types_record(types, base, &record) && !*types_string(types, record.name) &&
			 (record.kind == KIOKU_TYPE_STRUCT || record.kind == KIOKU_TYPE_UNION ||
			  record.kind == KIOKU_TYPE_ENUM || record.kind == KIOKU_TYPE_ENUM64);
	if (body && anonymous)
		*body = base;
	else
		anonymous = false;
	fputs(qualifiers, left);
	print_base(types, base, left);

	int length = (int)(sizeof(declarator.before) - declarator.start);
	const char *before = declarator.before + declarator.start;
	if (left == right) {
		if (length || *name)
			fputc(' ', left);
		fprintf(left, "%.*s%s%s", length, before, name, after);
	} else if (declarator.grouped || anonymous) {
		fprintf(right, "%.*s%s%s", length, before, name, after);
	} else {
		if (length)
			fprintf(left, " %.*s", length, before);
		fprintf(right, "%s%s", name, after);
	}
}

static void print_parameters(const struct kioku_types *types, const struct btf_record *record,
			     unsigned depth, FILE *out)
{
	fputc('(', out);
	for (uint32_t i = 0; i < record->length; i++) {
		struct btf_parameter parameter = btf_parameter(record, i);
		if (i > 0)
			fputs(", ", out);
		if (depth == DEPTH_LIMIT || ftell(out) > SIZE_LIMIT ||
		    (parameter.type == 0 && parameter.name == 0)) {
			fputs("...", out);
			break;
		}
		print_declaration(types, parameter.type, types_string(types, parameter.name),
				  depth + 1, out, out, NULL);
	}
	if (record->length == 0)
		fputs("void", out);
	fputc(')', out);
}

struct declaration declare(const struct kioku_types *types, uint32_t id, const char *name)
{
	struct declaration out = { 0 };
	size_t left_size, right_size;
	FILE *left = open_memstream(&out.left, &left_size);
	FILE *right = open_memstream(&out.right, &right_size);

	if (left && right)
		print_declaration(types, id, name, 0, left, right, &out.body);
	if (left)
		fclose(left);
	if (right)
		fclose(right);
	return out;
}
