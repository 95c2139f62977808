/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/unpack.h"
#include "format/elf_sections.h"
#include "kernel/profile.h"
#include "kernel/type_file.h"
#include "symbol/symbol_list.h"
#include "type/dwarf_types.h"
#include "type/isf_types.h"

#define FILE_LIMIT     (8ull << 30)
#define UNPACKED_LIMIT (512u << 20) /* ISF of Debian's kernels: 40 to 60 MB */
#define BTF_LIMIT      (64u << 20)
#define BANNER_START   "Linux version "

void type_file_close(struct type_file *file)
{
	if (!file)
		return;
	types_close(file->types);
	symbols_close(file->symbols);
	profile_close(file->profile);
	free(file->unpacked);
	if (file->mapped.data)
		munmap((void *)file->mapped.data, file->mapped.size);
	free(file);
}

/* Copies a banner up to its newline or end, if it is whole and printable. */
static bool take_banner(struct type_file *file, struct bytes from)
{
	size_t size = 0;

	while (size < from.size && from.data[size] >= ' ' && from.data[size] < 0x7f)
		size++;
	if (size == from.size || (from.data[size] != '\n' && from.data[size] != '\0') ||
	    size >= sizeof(file->banner) || size < strlen(BANNER_START) + 3 ||
	    memcmp(from.data, BANNER_START, strlen(BANNER_START)) != 0)
		return false;
	memcpy(file->banner, from.data, size);
	file->banner[size] = '\0';
	return true;
}

/* --- ELF */

static enum kioku_status types_of_btf(struct type_file *file, struct bytes btf,
				      struct kioku_error *error)
{
	if (btf.size > BTF_LIMIT)
		return error_set(error, KIOKU_ERROR_LIMIT, "its BTF is larger than any kernel's");
	AUTO_FREE void *copy = malloc(btf.size ? btf.size : 1);
	if (!copy)
		return error_no_memory(error);
	memcpy(copy, btf.data, btf.size);
	TRY(types_from_btf(TAKE(copy), btf.size, &file->types, error));
	file->form = "BTF";
	if (types_flaw(file->types))
		snprintf(file->flaw, sizeof(file->flaw), "%s", types_flaw(file->types));
	return KIOKU_OK;
}

/* As nm(1) and kallsyms have it. */
static char type_letter(const struct elf_sections *sections, const struct elf_symbol *symbol)
{
	struct elf_section section = { 0 };
	char letter = 'A';

	if (symbol->section != SHN_ABS && elf_section_at(sections, symbol->section, &section))
		letter = section.flags & SHF_EXECINSTR ? 'T'
			 : section.type == SHT_NOBITS  ? 'B'
			 : section.flags & SHF_WRITE   ? 'D'
						       : 'R';
	return symbol->binding == STB_LOCAL ? (char)tolower(letter) : letter;
}

static enum kioku_status elf_symbols(struct type_file *file, const struct elf_sections *sections,
				     struct kioku_error *error)
{
	AUTO_SYMBOL_LIST struct symbol_list list = { 0 };
	struct elf_section table, names;
	struct elf_symbol symbol;

	if (!elf_section_find(sections, ".symtab", &table) ||
	    !elf_section_at(sections, table.link, &names))
		return KIOKU_OK;
	for (uint64_t i = 0; elf_symbol_at(table.content, names.content, i, &symbol); i++)
		if (symbol.section != SHN_UNDEF && symbol.type <= STT_FUNC &&
		    !symbol_list_add(&list, symbol.value, type_letter(sections, &symbol),
				     symbol.name))
			return error_no_memory(error);
	if (list.count == 0)
		return KIOKU_OK;
	return symbols_from_list(&list, &file->symbols, error);
}

static bool banner_at_symbol(struct type_file *file, const struct elf_sections *sections)
{
	struct elf_section section;
	struct kioku_symbol symbol;

	if (!file->symbols ||
	    kioku_symbols_find(file->symbols, "linux_banner", &symbol, NULL) != KIOKU_OK)
		return false;
	for (uint32_t i = 0; elf_section_at(sections, i, &section); i++) {
		uint64_t offset = symbol.address - section.address;
		if (section.flags & SHF_ALLOC && section.address && offset < section.content.size)
			return take_banner(file,
					   (struct bytes){ section.content.data + offset,
							   section.content.size - (size_t)offset });
	}
	return false;
}

/* As in kernel/prove.c: one without a number behind "#" is left over from linking, if there is another. */
static void banner_among(struct type_file *file, struct bytes constants)
{
	const uint8_t *at;

	while ((at = memmem(constants.data, constants.size, BANNER_START, strlen(BANNER_START)))) {
		constants.size -= (size_t)(at - constants.data);
		constants.data = at;
		if (take_banner(file, constants) && !strstr(file->banner, " # "))
			return;
		constants.data++;
		constants.size--;
	}
}

/* The build id of a kernel, its banner among its constants, and for whom a module was made. */
static void elf_identity(struct type_file *file, const struct elf_sections *sections)
{
	static const struct elf_header header = { .is_64 = true };
	bool is_module = sections->type == ET_REL;
	struct elf_section section;
	struct bytes id;

	for (uint32_t i = 0; elf_section_at(sections, i, &section) && !is_module; i++)
		if (section.type == SHT_NOTE && !file->build_id_size &&
		    elf_build_id(section.content, &header, 4, &id)) {
			memcpy(file->build_id, id.data, id.size);
			file->build_id_size = id.size;
		}
	if (is_module && elf_section_find(sections, ".modinfo", &section)) {
		/* "vermagic=RELEASE SMP preempt ..." (include/linux/vermagic.h) */
		const char *key = "vermagic=";
		const uint8_t *at =
			memmem(section.content.data, section.content.size, key, strlen(key));
		size_t left = at ? section.content.size -
					      (size_t)(at + strlen(key) - section.content.data)
				 : 0;
		for (size_t i = 0; i < left && i + 1 < sizeof(file->release) &&
				   at[strlen(key) + i] > ' ' && at[strlen(key) + i] < 0x7f;
		     i++)
			file->release[i] = (char)at[strlen(key) + i];
		return;
	}
	if (!is_module && !banner_at_symbol(file, sections) &&
	    elf_section_find(sections, ".rodata", &section))
		banner_among(file, section.content);
}

static enum kioku_status elf_types(struct type_file *file, const struct elf_sections *sections,
				   int descriptor, struct kioku_error *error)
{
	struct kioku_error problem = { 0 };
	struct dwarf_summary summary;
	struct elf_section btf;
	enum kioku_status status =
		descriptor >= 0 ? types_from_dwarf(descriptor, &file->types, &summary, &problem)
				: error_set(&problem, KIOKU_ERROR_UNSUPPORTED,
					    "its DWARF can be read only if it is unpacked");

	if (status == KIOKU_OK) {
		file->form = "DWARF";
		snprintf(file->flaw, sizeof(file->flaw), "%s", summary.flaw);
		return KIOKU_OK;
	}
	if (!elf_section_find(sections, ".BTF", &btf) || btf.content.size == 0)
		return error_set(error, status, "it has no BTF, and %s", problem.message);
	if (sections->type == ET_REL)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "a module's BTF is counted on from its kernel's, and no use "
				 "without it; %s",
				 problem.message);
	return types_of_btf(file, btf.content, error);
}

static enum kioku_status read_elf(struct type_file *file, struct bytes content, int descriptor,
				  bool wants_types, struct kioku_error *error)
{
	struct elf_sections sections;

	if (!elf_sections_open(content, &sections)) {
		struct elf_header header;
		if (!elf_header_decode(content, &header) &&
		    (!header.is_64 || header.big_endian || header.machine != EM_X86_64))
			return error_set(error, KIOKU_ERROR_REFUSED,
					 "it is of another architecture (ELF machine %u)",
					 header.machine);
		return error_set(error, KIOKU_ERROR_CORRUPT, "its table of sections is not in it");
	}
	if (sections.machine != EM_X86_64)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "it is of another architecture (ELF machine %u)",
				 sections.machine);
	if (sections.type != ET_REL)
		TRY(elf_symbols(file, &sections, error));
	elf_identity(file, &sections);
	if (wants_types)
		return elf_types(file, &sections, descriptor, error);
	file->form = "ELF";
	return KIOKU_OK;
}

/* --- others */

struct isf_symbols {
	struct type_file *file;
	struct symbol_list list;
};

static void release_isf_symbols(struct isf_symbols *symbols)
{
	symbol_list_release(&symbols->list);
}

static bool take_isf_symbol(void *user, const struct isf_symbol *symbol)
{
	struct isf_symbols *symbols = user;
	uint8_t banner[TYPE_FILE_BANNER + 2];

	if (symbol->constant_data.size && symbol->name.size == strlen("linux_banner") &&
	    memcmp(symbol->name.data, "linux_banner", symbol->name.size) == 0) {
		size_t size = isf_decode_data(symbol->constant_data, banner, sizeof(banner) - 1);
		banner[size] = '\0';
		take_banner(symbols->file, (struct bytes){ banner, size + 1 });
	}
	return symbol_list_add(&symbols->list, symbol->address, '?', symbol->name);
}

static enum kioku_status read_isf(struct type_file *file, struct bytes content,
				  struct kioku_error *error)
{
	CLEANUP(release_isf_symbols) struct isf_symbols symbols = { .file = file };
	struct isf_summary summary;

	TRY(types_from_isf(content, take_isf_symbol, &symbols, &file->types, &summary, error));
	if (summary.is_big_endian || (summary.pointer_size && summary.pointer_size != 8))
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "it is of another architecture (pointers of %u bytes%s)",
				 summary.pointer_size, summary.is_big_endian ? ", big-endian" : "");
	file->form = "ISF";
	snprintf(file->flaw, sizeof(file->flaw), "%s", summary.flaw);
	return symbols.list.count ? symbols_from_list(&symbols.list, &file->symbols, error)
				  : KIOKU_OK;
}

static enum kioku_status read_profile(struct type_file *file, struct kioku_error *error)
{
	struct bytes types;

	TRY(profile_open(file->path, &file->profile, error));
	const struct profile_header *header = &file->profile->header;
	if (!bytes_slice(file->profile->file, header->types_offset, header->types_size, &types) ||
	    !profile_evidence(file->profile, &file->member_evidence))
		return error_set(error, KIOKU_ERROR_CORRUPT, "the profile's parts lie outside it");
	TRY(types_from_blob(types, &file->types, error));
	memcpy(file->build_id, header->build_id, header->build_id_size);
	file->build_id_size = header->build_id_size;
	snprintf(file->banner, sizeof(file->banner), "%.*s", (int)header->banner_size,
		 header->banner);
	snprintf(file->version, sizeof(file->version), "%s", header->source_version);
	snprintf(file->local_version, sizeof(file->local_version), "%s", header->local_version);
	file->form = file->version[0] ? "made from source" : "profile";
	if (header->forced[0])
		snprintf(file->flaw, sizeof(file->flaw), "it was saved by force: %.90s",
			 header->forced);
	return KIOKU_OK;
}

static bool is_json(struct bytes content)
{
	size_t at = 0;

	while (at < content.size && isspace(content.data[at]))
		at++;
	return at < content.size && content.data[at] == '{';
}

static bool is_map(struct bytes content)
{
	size_t at = 0;

	while (at < content.size && at < 17 && isxdigit(content.data[at]))
		at++;
	return at > 0 && at < 17 && at < content.size && content.data[at] == ' ';
}

enum kioku_status type_file_read(struct type_file *file, struct bytes content, int descriptor,
				 bool wants_types, struct kioku_error *error)
{
	if (elf_is_magic(content))
		return read_elf(file, content, descriptor, wants_types, error);
	if (bytes_match(content, 0, BTF_MAGIC) && wants_types)
		return types_of_btf(file, content, error);
	if (is_json(content))
		return read_isf(file, content, error);
	if (is_map(content) && !wants_types) {
		file->form = "text";
		return symbols_from_map(content, &file->symbols, error);
	}
	return error_set(error, KIOKU_ERROR_REFUSED, "%s",
			 wants_types
				 ? "it is no ELF file with DWARF or BTF, no raw BTF, no symbol "
				   "table of volatility3, and no kioku profile"
				 : "it is no System.map, no text of /proc/kallsyms, no ELF file, "
				   "and no symbol table of volatility3");
}

/* --- files */

static enum kioku_status map_file(struct type_file *file, int descriptor, struct kioku_error *error)
{
	struct stat status;

	if (fstat(descriptor, &status) != 0)
		return error_os(error, "cannot look at it");
	if (!S_ISREG(status.st_mode))
		return error_set(error, KIOKU_ERROR_REFUSED, "it is no regular file");
	if (status.st_size == 0 || (uint64_t)status.st_size > FILE_LIMIT)
		return error_set(error, KIOKU_ERROR_REFUSED, "it is %s",
				 status.st_size ? "larger than any such file" : "empty");
	void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
	if (data == MAP_FAILED)
		return error_os(error, "cannot map it");
	file->mapped = (struct bytes){ data, (size_t)status.st_size };
	return KIOKU_OK;
}

/* /proc/kallsyms has no size, and cannot be mapped. */
static enum kioku_status read_stream(struct type_file *file, int descriptor, struct bytes *out,
				     struct kioku_error *error)
{
	size_t used = 0, capacity = 0;

	for (;;) {
		if (used == capacity) {
			capacity = capacity ? capacity * 2 : 1u << 20;
			void *grown = capacity <= UNPACKED_LIMIT ? realloc(file->unpacked, capacity)
								 : NULL;
			if (!grown)
				return error_no_memory(error);
			file->unpacked = grown;
		}
		ssize_t got = read(descriptor, (uint8_t *)file->unpacked + used, capacity - used);
		if (got < 0)
			return error_os(error, "cannot read it");
		if (got == 0)
			break;
		used += (size_t)got;
	}
	*out = (struct bytes){ file->unpacked, used };
	return used ? KIOKU_OK : error_set(error, KIOKU_ERROR_REFUSED, "it is empty");
}

static enum kioku_status read_file(struct type_file *file, int descriptor, bool wants_types,
				   struct kioku_error *error)
{
	struct bytes content;
	struct stat status;

	if (!wants_types && fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
	    status.st_size == 0) {
		TRY(read_stream(file, descriptor, &content, error));
		return type_file_read(file, content, -1, wants_types, error);
	}
	TRY(map_file(file, descriptor, error));
	content = file->mapped;
	if (bytes_match(content, 0, PROFILE_MAGIC) && wants_types)
		return read_profile(file, error);
	if (unpack_packer(content) != PACKER_NONE) {
		size_t size;
		TRY(unpack(content, UNPACKED_LIMIT, &file->unpacked, &size, error));
		return type_file_read(file, (struct bytes){ file->unpacked, size }, -1, wants_types,
				      error);
	}
	return type_file_read(file, content, descriptor, wants_types, error);
}

/* What types and symbols were made of is no longer needed, unless they are read in place. */
static void release_content(struct type_file *file)
{
	free(TAKE(file->unpacked));
	if (file->mapped.data)
		munmap((void *)file->mapped.data, file->mapped.size);
	file->mapped = (struct bytes){ 0 };
}

static enum kioku_status open_file(const char *path, bool wants_types, struct type_file **out,
				   struct kioku_error *error)
{
	const char *option = wants_types ? "--types" : "--symbols";
	AUTO_CLOSE int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	AUTO_TYPE_FILE struct type_file *file = calloc(1, sizeof(*file));

	if (!file)
		return error_no_memory(error);
	if (descriptor < 0)
		return error_os(error, "%s: cannot open %s", option, path);
	file->path = path;
	enum kioku_status status = read_file(file, descriptor, wants_types, error);
	if (status == KIOKU_OK && !wants_types && !file->symbols)
		status = error_set(error, KIOKU_ERROR_REFUSED, "it has no symbols");
	if (status != KIOKU_OK) {
		error_prefix(error, "%s %s", option, path);
		return status;
	}
	release_content(file);
	*out = TAKE(file);
	return KIOKU_OK;
}

enum kioku_status type_file_open(const char *path, struct type_file **out,
				 struct kioku_error *error)
{
	return open_file(path, true, out, error);
}

enum kioku_status symbol_file_open(const char *path, struct type_file **out,
				   struct kioku_error *error)
{
	return open_file(path, false, out, error);
}
