/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file as a whole: types from type/isf_names.c, symbols and the banner from here. Readers take symbols by name,
 * so that of several of one name one is written: a global one, else the last, as dwarf2json has it.
 */
#include <kioku/isf.h>

#include <ctype.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <time.h>

#include "base/key_table.h"
#include "kernel/isf_output.h"
#include "kernel/isf_symbol_types.h"
#include "kernel/kernel.h"
#include "type/isf_names.h"

#define FORMAT       "6.2.0"
#define BANNER_LIMIT 1024
#define NAME_LIMIT   512 /* KSYM_NAME_LEN of include/linux/kallsyms.h, v6.1 on */
#define PERCPU       ".data..percpu"

/* How a symbol's type is known: a type's number, a row of isf_symbol_types(), or not at all. */
#define TYPE_OF_ROW 0x80000000u

struct export
{
	struct kioku_kernel *kernel;
	const struct kioku_symbols *symbols; /* NULL: there are none */
	const struct kioku_types *types;
	struct isf_names *isf;
	struct json_writer json;
	uint64_t shift; /* what KASLR added to each address */
	struct key_table names;
	bool *shared;    /* of each symbol: there are others of its name, and nothing prefers it */
	uint32_t *known; /* what is known of each symbol's type; 0: nothing */
	uint64_t left_out;
};

static void release_export(struct export *export)
{
	isf_names_close(export->isf);
	key_table_release(&export->names);
	free(export->shared);
	free(export->known);
}

/* --- which symbols */

static struct bytes name_of(const void *user, uint32_t item)
{
	return bytes_of_text(kioku_symbols_get(user, item).name);
}

/* Names stand in the file as they are. */
static bool is_printable(const char *name)
{
	size_t size = 0;

	for (; name[size]; size++)
		if (name[size] <= ' ' || name[size] > '~' || name[size] == '"' ||
		    name[size] == '\\' || size == NAME_LIMIT)
			return false;
	return size > 0;
}

static bool is_global(const struct kioku_symbol *symbol)
{
	return isupper((unsigned char)symbol->type);
}

static bool choose_symbols(struct export *export)
{
	size_t count = kioku_symbols_count(export->symbols);

	export->shared = calloc(count ? count : 1, sizeof(*export->shared));
	export->known = calloc(count ? count : 1, sizeof(*export->known));
	if (!export->shared || !export->known ||
	    !key_table_begin(&export->names, count, name_of, export->symbols))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct kioku_symbol symbol = kioku_symbols_get(export->symbols, i);
		if (!is_printable(symbol.name)) {
			export->left_out++;
			continue;
		}
		uint32_t *chosen = key_table_at(&export->names, bytes_of_text(symbol.name));
		if (*chosen) {
			struct kioku_symbol before =
				kioku_symbols_get(export->symbols, *chosen - 1);
			if (is_global(&before) && !is_global(&symbol))
				continue;
			export->shared[i] = is_global(&before) == is_global(&symbol);
		}
		*chosen = i + 1;
	}
	return true;
}

/* The symbol that is written under a name; false: there is none. */
static bool chosen(struct export *export, const char *name, uint32_t *index)
{
	uint32_t found = key_table_find(&export->names, bytes_of_text(name));

	*index = found - 1;
	return found != 0;
}

/* --- what their types are */

/*
 * BTF has the variables of each CPU, and where these are; with pahole's global_var all others, too, of which nothing
 * but the name says which symbol they are.
 */
static void learn_section(struct export *export, const struct btf_record *section)
{
	bool percpu = strcmp(types_string(export->types, section->name), PERCPU) == 0;
	uint64_t start = kernel_symbol(export->kernel, "__per_cpu_start");
	struct btf_record record;
	uint32_t index;

	for (uint32_t i = 0; i < section->length; i++) {
		struct btf_variable variable = btf_variable(section, i);
		if (!types_record(export->types, variable.type, &record) ||
		    record.kind != KIOKU_TYPE_VARIABLE ||
		    !chosen(export, types_string(export->types, record.name), &index))
			continue;
		struct kioku_symbol symbol = kioku_symbols_get(export->symbols, index);
		if (percpu ? symbol.address - start == variable.offset : !export->shared[index])
			export->known[index] = record.type;
	}
}

/* The one struct without a name that has such a member of such a type; 0: none, or more than one. */
static uint32_t anonymous_with(const struct kioku_types *types, const char *member, uint32_t type)
{
	uint32_t count = kioku_types_count(types);
	struct btf_record record;
	uint32_t found = 0;

	for (uint32_t id = 1; id <= count; id++) {
		if (!types_record(types, id, &record) || record.kind != KIOKU_TYPE_STRUCT ||
		    *types_string(types, record.name))
			continue;
		for (uint32_t i = 0; i < record.length; i++) {
			struct kioku_member at = types_member(types, &record, i);
			if (strcmp(at.name, member) != 0 || types_resolve(types, at.type) != type)
				continue;
			if (found)
				return 0;
			found = id;
			break;
		}
	}
	return found;
}

/* The type of a row, its pointers and array not counted; 0: this kernel has no such type. */
static uint32_t row_type(struct export *export, const struct isf_symbol_type *row)
{
	uint32_t id;

	if (kioku_types_find(export->types, row->type, &id, NULL) != KIOKU_OK)
		return 0;
	return row->member ? anonymous_with(export->types, row->member, id) : id;
}

static uint64_t row_size(struct export *export, const struct isf_symbol_type *row)
{
	uint64_t size = isf_names_base_size(export->isf, row->type);

	if (!size)
		size = kioku_type_size(export->types, row_type(export, row));
	if (size && row->pointers)
		size = isf_names_base_size(export->isf, "long unsigned int");
	return row->count ? size * row->count : size;
}

static void learn_rows(struct export *export)
{
	size_t count;
	const struct isf_symbol_type *rows = isf_symbol_types(&count);
	uint32_t index;

	for (uint32_t i = 0; i < count; i++) {
		if (!chosen(export, rows[i].symbol, &index) || export->shared[index] ||
		    export->known[index])
			continue;
		uint64_t address = kioku_symbols_get(export->symbols, index).address;
		uint64_t size = row_size(export, &rows[i]);
		if (size && size <= symbols_room(export->symbols, address))
			export->known[index] = TYPE_OF_ROW | i;
	}
}

static void learn_types(struct export *export)
{
	uint32_t count = kioku_types_count(export->types);
	struct btf_record record;

	for (uint32_t id = 1; id <= count; id++)
		if (types_record(export->types, id, &record) &&
		    record.kind == KIOKU_TYPE_DATA_SECTION)
			learn_section(export, &record);
	learn_rows(export);
}

/* --- writing */

static void put_base(struct json_writer *json, const char *key, const char *name)
{
	json_begin_object(json, key);
	json_put_text(json, "kind", "base");
	json_put_text(json, "name", name);
	json_end_object(json);
}

static void put_row(struct export *export, const struct isf_symbol_type *row)
{
	struct json_writer *json = &export->json;
	const char *key = "type";

	for (unsigned i = 0; i < row->pointers; i++, key = "subtype") {
		json_begin_object(json, key);
		json_put_text(json, "kind", "pointer");
	}
	if (row->count) {
		json_begin_object(json, key);
		json_put_text(json, "kind", "array");
		json_put_unsigned(json, "count", row->count);
		key = "subtype";
	}
	if (isf_names_base_size(export->isf, row->type))
		put_base(json, key, row->type);
	else
		isf_names_put_reference(export->isf, json, key, row_type(export, row));
	for (unsigned i = 0; i < row->pointers + (row->count > 0); i++)
		json_end_object(json);
}

/* linux_banner as memory has it: readers look for these bytes. Its end is not in kernel->banner. */
static void put_banner(struct export *export, uint64_t address)
{
	struct kioku_kernel *kernel = export->kernel;
	size_t size = strlen(kernel->banner);
	unsigned char bytes[BANNER_LIMIT + 2], text[(BANNER_LIMIT + 4) / 3 * 4 + 1];

	json_begin_object(&export->json, "linux_banner");
	if (size <= BANNER_LIMIT) {
		memcpy(bytes, kernel->banner, size);
		if (kernel_read(kernel, kernel->banner_virtual + size, bytes + size, 2, NULL) ==
			    KIOKU_OK &&
		    memcmp(bytes + size, "\n", 2) == 0)
			size += 2;
		EVP_EncodeBlock(text, bytes, (int)size);
		json_begin_object(&export->json, "type");
		json_put_text(&export->json, "kind", "array");
		json_put_unsigned(&export->json, "count", size);
		put_base(&export->json, "subtype", "char");
		json_end_object(&export->json);
		json_put_text(&export->json, "constant_data", (const char *)text);
	}
	json_put_unsigned(&export->json, "address", address);
	json_end_object(&export->json);
}

static void put_symbol(struct export *export, uint32_t index)
{
	struct kioku_symbol symbol = kioku_symbols_get(export->symbols, index);
	struct json_writer *json = &export->json;
	uint32_t known = export->known[index];
	size_t count;

	if (!symbols_is_absolute(export->symbols, index))
		symbol.address -= export->shift;
	if (strcmp(symbol.name, "linux_banner") == 0) {
		put_banner(export, symbol.address);
		return;
	}
	json_begin_object(json, symbol.name);
	if (!known)
		put_base(json, "type", "void");
	else if (known & TYPE_OF_ROW)
		put_row(export, &isf_symbol_types(&count)[known & ~TYPE_OF_ROW]);
	else
		isf_names_put_reference(export->isf, json, "type", known);
	json_put_unsigned(json, "address", symbol.address);
	json_end_object(json);
}

static void write_symbols(struct export *export)
{
	size_t count = export->symbols ? kioku_symbols_count(export->symbols) : 0;
	uint32_t index;

	json_begin_object(&export->json, "symbols");
	if (!export->symbols || !chosen(export, "linux_banner", &index))
		put_banner(export, export->kernel->banner_virtual - export->shift);
	for (uint32_t i = 0; i < count; i++) {
		const char *name = kioku_symbols_get(export->symbols, i).name;
		if (is_printable(name) && chosen(export, name, &index) && index == i)
			put_symbol(export, i);
	}
	json_end_object(&export->json);
}

static void write_metadata(struct export *export)
{
	struct json_writer *json = &export->json;
	time_t now = time(NULL);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	json_begin_object(json, "metadata");
	json_put_text(json, "format", FORMAT);
	json_begin_object(json, "producer");
	/* The only place for it: the schema has none for remarks. */
	json_put_text(json, "name",
		      export->kernel->forced ? "kioku, types or symbols by force" : "kioku");
	json_put_text(json, "version", KIOKU_VERSION);
	json_put_text(json, "datetime", text);
	json_end_object(json);
	/* The schema knows no BTF as what types are from. */
	json_begin_object(json, "linux");
	json_begin_array(json, "symbols");
	if (export->symbols) {
		json_begin_object(json, NULL);
		json_put_text(json, "kind", "symtab");
		json_put_text(json, "name", "kallsyms");
		json_end_object(json);
	}
	json_end_array(json);
	json_begin_array(json, "types");
	json_end_array(json);
	json_end_object(json);
	json_end_object(json);
}

static void write_all(struct export *export)
{
	struct json_writer *json = &export->json;

	json_begin_object(json, NULL);
	write_metadata(export);
	isf_names_write(export->isf, json);
	write_symbols(export);
	json_end_object(json);
	putc('\n', json->out);
}

/* What a reader of the file should know. */
static void say_what_is_missing(const struct export *export, bool link_known)
{
	const struct diagnostics *diagnostics = &export->kernel->diagnostics;

	if (!export->symbols)
		diagnose(diagnostics, KIOKU_GAP,
			 "the symbol table has no symbols but the banner: %s",
			 export->kernel->symbols_problem ? export->kernel->symbols_problem
							 : "no kallsyms tables");
	if (!link_known)
		diagnose(diagnostics, KIOKU_NOTE,
			 "nothing says where this kernel was linked to run: symbols have the "
			 "addresses "
			 "of this boot");
	if (isf_names_lost(export->isf))
		diagnose(diagnostics, KIOKU_GAP,
			 "%" PRIu64 " members or constants are left out: BTF is damaged",
			 isf_names_lost(export->isf));
	if (export->left_out)
		diagnose(diagnostics, KIOKU_GAP,
			 "%" PRIu64 " symbols are left out: their names are damaged",
			 export->left_out);
}

enum kioku_status kioku_kernel_export_isf(struct kioku_kernel *kernel,
					  const struct kioku_isf_options *options,
					  kioku_isf_fn *function, void *user,
					  struct kioku_error *error)
{
	CLEANUP(release_export)
	struct export export = { .kernel = kernel,
				 .symbols = kernel->symbols,
				 .types = kernel->types };
	AUTO_ISF_OUTPUT struct isf_output *output = NULL;
	const char *evidence;
	uint64_t link;

	if (!kernel->types)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "a symbol table needs types, and this image lacks them: %s",
				 kernel->types_problem ? kernel->types_problem
						       : "no BTF in the kernel image");
	if (kernel->types_are_inferred)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this kernel's types were worked out from its memory: they are "
				 "too few for a "
				 "symbol table, in which nothing can say so");
	TRY(isf_output_open(options && options->compressed, function, user, &output, error));
	export.json.out = isf_output_stream(output);
	bool link_known = kernel_link_address(kernel, &link, &evidence);
	if (link_known)
		export.shift = kernel->image.start - link;
	TRY(isf_names_open(kernel->types, &export.isf, error));
	if (export.symbols) {
		if (!choose_symbols(&export))
			return error_no_memory(error);
		learn_types(&export);
	}
	write_all(&export);
	TRY(isf_output_finish(output, error));
	say_what_is_missing(&export, link_known);
	return KIOKU_OK;
}
