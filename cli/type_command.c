/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "escape.h"
#include "json.h"
#include "message.h"
#include "output.h"
#include "session.h"

static const char *kind_name(enum kioku_type_kind kind)
{
	switch (kind) {
	case KIOKU_TYPE_VOID: return "void";
	case KIOKU_TYPE_INT: return "int";
	case KIOKU_TYPE_POINTER: return "pointer";
	case KIOKU_TYPE_ARRAY: return "array";
	case KIOKU_TYPE_STRUCT: return "struct";
	case KIOKU_TYPE_UNION: return "union";
	case KIOKU_TYPE_ENUM:
	case KIOKU_TYPE_ENUM64: return "enum";
	case KIOKU_TYPE_FORWARD: return "forward";
	case KIOKU_TYPE_TYPEDEF: return "typedef";
	case KIOKU_TYPE_VOLATILE: return "volatile";
	case KIOKU_TYPE_CONST: return "const";
	case KIOKU_TYPE_RESTRICT: return "restrict";
	case KIOKU_TYPE_FUNCTION: return "function";
	case KIOKU_TYPE_FUNCTION_PROTOTYPE: return "function_prototype";
	case KIOKU_TYPE_VARIABLE: return "variable";
	case KIOKU_TYPE_DATA_SECTION: return "data_section";
	case KIOKU_TYPE_FLOAT: return "float";
	case KIOKU_TYPE_DECLARATION_TAG: return "declaration_tag";
	case KIOKU_TYPE_TYPE_TAG: return "type_tag";
	}
	return "unknown";
}

/* What all types have: kind, and a name unless it is anonymous. */
static void write_type(struct json *json, const char *name_key, const struct kioku_types *types,
		       uint32_t id)
{
	const char *name = kioku_type_name(types, id);

	if (name[0])
		json_string(json, name_key, name);
	json_string(json, "kind", kind_name(kioku_type_kind(types, id)));
}

/* mark: see output_mark_name(). */
static void write_json(struct json *json, const struct kioku_types *types, uint32_t id,
		       const char *mark)
{
	struct kioku_member member;

	json_open(json, NULL, '{');
	write_type(json, "name", types, id);
	json_number(json, "size", kioku_type_size(types, id));
	json_open(json, "members", '[');
	for (uint32_t i = 0; kioku_type_member_at(types, id, i, &member); i++) {
		json_open(json, NULL, '{');
		json_string(json, "name", member.name);
		write_type(json, "type", types, member.type);
		json_number(json, "offset", member.bit_offset / 8);
		json_number(json, "size", kioku_type_size(types, member.type));
		if (member.bit_size > 0) {
			json_number(json, "bit_offset", member.bit_offset);
			json_number(json, "bit_size", member.bit_size);
		}
		json_close(json, '}');
	}
	json_close(json, ']');
	if (mark)
		json_string(json, "basis", mark);
	json_close(json, '}');
	putc('\n', json->file);
}

/* Names in BTF are bytes from the target as well; line breaks and tabs are the printer's own. */
static void print_text(const char *text)
{
	while (*text) {
		size_t length = strcspn(text, "\n\t");
		escape_write(stdout, text, length, !locale_is_utf8());
		text += length;
		if (*text)
			putchar(*text++);
	}
}

static int run(struct session *session)
{
	const char *name = session->options.arguments[1];
	struct json json = { .file = stdout, .ascii = !locale_is_utf8() };
	AUTO_FREE char *text = NULL;
	struct kioku_error error = { 0 };
	uint32_t id;

	int status = session_open_kernel(session);
	if (status != STATUS_COMPLETE)
		return status;
	const char *mark = output_mark_name(session->kernel);
	const struct kioku_types *types = kioku_kernel_types(session->kernel);
	if (!types)
		return message_error("this image's kernel types are missing; see kioku info");
	if (kioku_types_find(types, name, &id, &error) != KIOKU_OK)
		return message_error("%s", error.message);
	if (strcmp(session->options.format, "json") == 0) {
		write_json(&json, types, id, mark);
		return STATUS_COMPLETE;
	}
	if (kioku_type_print(types, id, &text, &error) != KIOKU_OK)
		return message_error("%s", error.message);
	if (mark)
		printf("/* basis: %s */\n", mark);
	print_text(text);
	return STATUS_COMPLETE;
}

static const char *const formats[] = { "table", "json", NULL };

const struct command type_command = {
	.name = "type",
	.help = "the layout of one of the kernel's C types, as pahole prints it",
	.usage = "SOURCE NAME",
	.formats = formats,
	.details = "NAME may carry its keyword: \"struct page\", \"union x\", \"enum y\".",
	.options = OPTION_HELP | OPTION_FORMAT | OPTIONS_KERNEL,
	.run = run,
};
