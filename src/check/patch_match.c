/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "check/branch.h"
#include "check/patch_match.h"

enum {
	NOP = 0x90,
	TRAP = 0xcc,
	RETURN = 0xc3,
	CALL = 0xe8,
	JUMP = 0xe9,
	SHORT_JUMP = 0xeb,
	NESTING = 2,           /* a replacement may hold places that are rewritten, too */
	COUNTER_DISTANCE = 32, /* bytes in front of a function where calls are counted */
};

static const uint8_t *memory_at(const struct patch_sites *sites, uint64_t address, uint64_t size)
{
	return address >= sites->start && address <= sites->end && size <= sites->end - address
		       ? sites->memory + (address - sites->start)
		       : NULL;
}

/* --- instructions that do nothing: arch/x86/include/asm/nops.h */

/* Bytes of the one that code starts with; 0: it is another. */
static size_t nop_length(const uint8_t *code, size_t size)
{
	/* NOPL with its operand, behind any number of operand size and segment prefixes; the last is ENDBR's. */
	static const struct {
		uint8_t bytes[8], size;
	} known[] = {
		{ { 0x90 }, 1 },
		{ { 0x0f, 0x1f, 0x00 }, 3 },
		{ { 0x0f, 0x1f, 0xc0 }, 3 },
		{ { 0x0f, 0x1f, 0x40, 0x00 }, 4 },
		{ { 0x0f, 0x1f, 0x44, 0x00, 0x00 }, 5 },
		{ { 0x0f, 0x1f, 0x80 }, 7 },
		{ { 0x0f, 0x1f, 0x84, 0x00 }, 8 },
		{ { 0x0f, 0x1f, 0x40, 0xd6 }, 4 },
	};
	size_t at = 0;

	while (at < size && (code[at] == 0x66 || code[at] == 0x2e || code[at] == 0x3e))
		at++;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].size <= size - at &&
		    memcmp(code + at, known[i].bytes, known[i].size) == 0)
			return at + known[i].size;
	return 0;
}

static bool is_filler(const uint8_t *code, size_t size, bool traps)
{
	for (size_t at = 0; at < size;) {
		size_t step = traps && code[at] == TRAP ? 1 : nop_length(code + at, size - at);
		if (step == 0)
			return false;
		at += step;
	}
	return true;
}

/* What is behind a replacement in its place: nothing that is run, or a jump over it. */
static bool is_padding(const uint8_t *code, size_t size)
{
	if (is_filler(code, size, false))
		return true;
	return size >= 2 && code[0] == SHORT_JUMP && code[1] == size - 2 &&
	       is_filler(code + 2, size - 2, true);
}

/* --- where code leads */

/* The name of the function that an address of the file begins; NULL: it is the beginning of none. */
static const char *function_at(const struct patch_sites *sites, uint64_t address, const char *part)
{
	const struct kioku_symbols *symbols = sites->run->kernel->symbols;
	uint64_t running = address + sites->slide;

	/* Several may begin at one address. */
	for (size_t i = symbols_above(symbols, running); i > 0; i--) {
		struct kioku_symbol symbol = kioku_symbols_get(symbols, i - 1);
		if (symbol.address != running)
			break;
		const char *found = strstr(symbol.name, part);
		if (found)
			return found;
	}
	return NULL;
}

/* A variable of the running kernel; false: it cannot be read. */
static bool read_variable(const struct patch_sites *sites, uint64_t address, uint64_t *out)
{
	return address_read_u64(&sites->run->kernel->space, address + sites->slide, out, NULL) ==
	       KIOKU_OK;
}

/* Whether an address of the file is, in the running kernel, code that the kernel made for itself. */
static bool is_made(struct patch_sites *sites, uint64_t address)
{
	bool made = false;

	return made_code_has(&sites->made, sites->run->kernel, address + sites->slide, &made) ==
		       KIOKU_OK &&
	       made;
}

/* --- jumps through a register: retpolines */

static int register_of(const char *name)
{
	static const char *const names[] = {
		"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
		"r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"
	};

	for (int i = 0; i < 16; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

/* The register of "call *%reg" or "jmp *%reg" that code starts with; -1: it is another instruction. */
static int indirect_register(const uint8_t *code, size_t size, size_t *length)
{
	size_t prefix = size > 0 && code[0] == 0x41;

	if (size < prefix + 2 || code[prefix] != 0xff ||
	    ((code[prefix + 1] & 0xf8) != 0xd0 && (code[prefix + 1] & 0xf8) != 0xe0))
		return -1;
	*length = prefix + 2;
	return (int)(code[prefix + 1] & 7) + (prefix ? 8 : 0);
}

/* Of a thunk: one of the image by its name, one that was made while booting (its_init_thunk()) by its code. */
static int thunk_register(const struct patch_sites *sites, uint64_t target)
{
	const char *name = function_at(sites, target, "_thunk_r");
	uint8_t code[8];
	size_t length;

	if (name)
		return register_of(name + strlen("_thunk_"));
	if (kernel_read(sites->run->kernel, target + sites->slide, code, sizeof(code), NULL) !=
	    KIOKU_OK)
		return -1;
	return indirect_register(code, sizeof(code), &length);
}

static bool match_retpoline(struct patch_sites *sites, const struct patch_site *site,
			    const uint8_t *code, uint64_t address)
{
	const uint8_t *original = kernel_file_at(sites->file, site->address, site->length);
	unsigned jumps = 0;

	if (!original)
		return false;
	int wanted = thunk_register(sites, branch_target(original + site->length - 4,
							 site->address + site->length));
	for (size_t at = 0, step; at < site->length; at += step) {
		size_t left = site->length - at;
		const uint8_t *next = code + at;
		int through = indirect_register(next, left, &step);
		if (through < 0 && left >= 5 && (next[0] == CALL || next[0] == JUMP)) {
			step = 5;
			through =
				thunk_register(sites, branch_target(next + 1, address + at + step));
		} else if (through < 0 && left >= 6 && next[0] == 0x0f &&
			   (next[1] & 0xf0) == 0x80) {
			step = 6;
			through =
				thunk_register(sites, branch_target(next + 2, address + at + step));
		}
		if (through >= 0) {
			if (through != wanted)
				return false;
			jumps++;
		} else if (next[0] == TRAP || next[0] == 0x2e) {
			step = 1;
		} else if (left >= 3 && memcmp(next, "\x0f\xae\xe8", 3) == 0) {
			step = 3; /* LFENCE */
		} else if (at == 0 && (next[0] & 0xf0) == 0x70) {
			step = 2; /* over the jump, if the condition does not hold */
		} else if ((step = nop_length(next, left)) == 0) {
			return false;
		}
	}
	return wanted >= 0 && jumps == 1;
}

/* --- others */

static bool match_return(const struct patch_sites *sites, const uint8_t *code, uint64_t address)
{
	if (code[0] == RETURN)
		return is_filler(code + 1, 4, true);
	return code[0] == JUMP &&
	       function_at(sites, branch_target(code + 1, address + 5), "return_thunk") != NULL;
}

/*
 * What counts how deep calls are, in front of functions where nothing is otherwise: "sarq $5, %gs:VARIABLE"
 * (callthunks.c, 6.2 on). Returns its bytes, 0: it is not that.
 */
size_t patch_match_counter(const struct patch_sites *sites, uint64_t address)
{
	static const struct {
		uint8_t bytes[5], size, length;
	} known[] = { { { 0x65, 0x48, 0xc1, 0x3c, 0x25 }, 5, 10 },
		      { { 0x65, 0x48, 0xc1, 0x3d }, 4, 9 } };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const uint8_t *code = memory_at(sites, address, known[i].length);
		const uint8_t *original = kernel_file_at(sites->file, address, known[i].length);
		if (code && original && memcmp(code, known[i].bytes, known[i].size) == 0 &&
		    code[known[i].length - 1] == 5 && is_filler(original, known[i].length, true))
			return known[i].length;
	}
	return 0;
}

/* Calls that are counted go to what is in front of the function. */
static bool match_call(const struct patch_sites *sites, const struct patch_site *site,
		       const uint8_t *code, uint64_t address)
{
	const uint8_t *original = kernel_file_at(sites->file, site->address, 5);
	uint64_t target = branch_target(code + 1, address + 5);

	return original && code[0] == original[0] &&
	       branch_target(original + 1, site->address + 5) - target <= COUNTER_DISTANCE &&
	       patch_match_counter(sites, target) > 0;
}

static bool match_trace(struct patch_sites *sites, const uint8_t *code, uint64_t address)
{
	uint64_t target = branch_target(code + 1, address + 5);

	if (is_filler(code, 5, false))
		return true;
	return code[0] == CALL &&
	       (function_at(sites, target, "ftrace_") || function_at(sites, target, "__fentry__") ||
		is_made(sites, target));
}

static bool match_tracer(struct patch_sites *sites, const struct patch_site *site,
			 const uint8_t *code, uint64_t address)
{
	uint64_t target = branch_target(code + 1, address + 5), function;

	if (code[0] != CALL && code[0] != JUMP)
		return is_filler(code, site->length, false);
	if (function_at(sites, target, "ftrace_"))
		return true;
	return read_variable(sites, site->other, &function) && function == target + sites->slide &&
	       (kernel_code_has(sites->run->code, function) || is_made(sites, target));
}

static bool match_jump(const struct patch_site *site, const uint8_t *code, uint64_t address)
{
	if (is_filler(code, site->length, false))
		return true;
	if (site->length == 2)
		return code[0] == SHORT_JUMP &&
		       address + 2 + (uint64_t)(int64_t)(int8_t)code[1] == site->other;
	return code[0] == JUMP && branch_target(code + 1, address + 5) == site->other;
}

/* What stands for a call of a function that is not there, or that returns 0: __static_call_transform(). */
static bool is_no_call(const struct patch_sites *sites, const struct patch_site *site,
		       const uint8_t *code, uint64_t address)
{
	static const uint8_t zeroes[][5] = { { 0x66, 0x66, 0x48, 0x31, 0xc0 },
					     { 0x2e, 0x2e, 0x2e, 0x31, 0xc0 } };
	static const uint8_t warning[] = { 0x67, 0x48, 0x0f, 0xb9, 0x3a }; /* UD1, v6.19 on */
	uint64_t end = address + site->length, function;

	if (memcmp(code, warning, sizeof(warning)) == 0)
		return read_variable(sites, site->other, &function) &&
		       function_at(sites, function - sites->slide, "WARN_trap");

	if (is_filler(code, site->length, false) || match_return(sites, code, address))
		return true;
	if (site->length == 6 && code[0] == 0x0f && (code[1] & 0xf0) == 0x80)
		return function_at(sites, branch_target(code + 2, end), "return_thunk") != NULL;
	return memcmp(code, zeroes[0], 5) == 0 || memcmp(code, zeroes[1], 5) == 0;
}

/* A static call leads to what its key says now, if that is code that is known. */
static bool match_static_call(struct patch_sites *sites, const struct patch_site *site,
			      const uint8_t *code, uint64_t address)
{
	uint64_t function, target, end = address + site->length;

	if (is_no_call(sites, site, code, address))
		return true;
	if (code[0] == CALL || code[0] == JUMP)
		target = branch_target(code + 1, address + 5);
	else if (site->length == 6 && code[0] == 0x0f && (code[1] & 0xf0) == 0x80)
		target = branch_target(code + 2, end);
	else
		return false;
	if (function_at(sites, target, "__static_call_return"))
		return true;
	return read_variable(sites, site->other, &function) && function == target + sites->slide &&
	       (kernel_code_has(sites->run->code, function) || is_made(sites, target));
}

/* Native instructions in place of a call through pv_ops: arch/x86/kernel/paravirt_patch.c, up to v5.11. */
static bool is_native(const uint8_t *code, size_t size)
{
	static const struct {
		const char *bytes;
		size_t size;
	} known[] = {
		{ "\x9c\x58", 2 },
		{ "\x57\x9d", 2 },
		{ "\xfa", 1 },
		{ "\xfb", 1 },
		{ "\x0f\x20\xd0", 3 },
		{ "\x0f\x20\xd8", 3 },
		{ "\x0f\x22\xdf", 3 },
		{ "\x0f\x09", 2 },
		{ "\x48\x89\xf8", 3 },
		{ "\xc6\x07\x00", 3 },
		{ "\x31\xc0", 2 },
		{ "\x0f\x01\xf8", 3 },
		{ "\x0f\x01\xf8\x48\x0f\x07", 6 },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i].size <= size && memcmp(code, known[i].bytes, known[i].size) == 0 &&
		    is_filler(code + known[i].size, size - known[i].size, false))
			return true;
	return false;
}

/* The variable through which "call *VARIABLE" or "jmp *VARIABLE" leads; 0: it is another instruction. */
static uint64_t through_variable(const uint8_t *original, size_t size, uint64_t address)
{
	if (size >= 6 && original[0] == 0xff && (original[1] == 0x15 || original[1] == 0x25))
		return branch_target(original + 2, address + 6);
	if (size >= 7 && original[0] == 0xff && (original[1] == 0x14 || original[1] == 0x24) &&
	    original[2] == 0x25)
		return (uint64_t)(int64_t)(int32_t)load_le32(original + 3);
	return 0;
}

/* A direct call, or jump, to where a variable leads, or nothing where that does nothing. Returns its bytes, 0: it is none. */
static size_t direct_call(const struct patch_sites *sites, const uint8_t *original, size_t size,
			  uint64_t original_address, const uint8_t *code, uint64_t address)
{
	uint64_t variable = through_variable(original, size, original_address), function;

	if (variable == 0 || !read_variable(sites, variable, &function))
		return 0;
	size_t whole = original[1] == 0x14 || original[1] == 0x24 ? 7 : 6;
	if (is_filler(code, whole, false))
		return function_at(sites, function - sites->slide, "nop") ? whole : 0;
	if ((code[0] != CALL && code[0] != JUMP) || !is_filler(code + 5, whole - 5, false))
		return 0;
	return branch_target(code + 1, address + 5) + sites->slide == function ? whole : 0;
}

static bool match_paravirt(const struct patch_sites *sites, const struct patch_site *site,
			   const uint8_t *code, uint64_t address)
{
	const uint8_t *original = kernel_file_at(sites->file, site->address, site->length);

	if (!original)
		return false;
	if (is_filler(code, site->length, false) || is_native(code, site->length))
		return true;
	size_t length = direct_call(sites, original, site->length, site->address, code, address);
	return length > 0 && is_filler(code + length, site->length - length, false);
}

/* --- alternatives */

static bool match_site(struct patch_sites *sites, const struct patch_site *site,
		       const uint8_t *code, uint64_t address, unsigned nesting);

/* One of the texts that a place may have. */
struct candidate_text {
	const uint8_t *bytes;
	uint64_t address; /* in the file */
	size_t size;
};

/* Bytes of what matches at an offset beyond single ones, 0: nothing does. */
static size_t match_piece(struct patch_sites *sites, const struct candidate_text *text, size_t at,
			  const uint8_t *code, uint64_t address, unsigned nesting)
{
	size_t left = text->size - at;
	uint64_t distance = text->address - address;

	/* A place that is rewritten in the replacement itself. */
	for (size_t i = patch_sites_above(sites, text->address + at); nesting > 0 && i > 0; i--) {
		const struct patch_site *site = &sites->sites[i - 1];
		if (site->address != text->address + at)
			break;
		if (site->length <= left &&
		    match_site(sites, site, code + at, address + at, nesting - 1))
			return site->length;
	}
	/* Longer jumps become short ones: recompute_jump(). */
	if (left >= 5 && text->bytes[at] == JUMP && code[at] == SHORT_JUMP &&
	    branch_target(text->bytes + at + 1, text->address + at + 5) ==
		    address + at + 2 + (uint64_t)(int64_t)(int8_t)code[at + 1] &&
	    is_filler(code + at + 2, 3, true))
		return 5;
	size_t direct = direct_call(sites, text->bytes + at, left, text->address + at, code + at,
				    address + at);
	if (direct)
		return direct;
	if (left >= 4) {
		uint32_t moved = load_le32(code + at) - load_le32(text->bytes + at);
		uint32_t slide = (uint32_t)sites->slide;
		if (moved == (uint32_t)distance || moved == slide || moved == 0 - slide ||
		    moved == (uint32_t)distance - slide)
			return 4;
	}
	return 0;
}

/* What does nothing, in other instructions that do nothing. Returns its bytes. */
static size_t match_filler(const struct candidate_text *text, size_t at, const uint8_t *code)
{
	size_t end = at, step;

	while (end < text->size && (step = nop_length(text->bytes + end, text->size - end)) > 0)
		end += step;
	return end > at && is_padding(code + at, end - at) ? end - at : 0;
}

/* The whole of a text in code; what comes behind it up to length does nothing. */
static bool match_text(struct patch_sites *sites, const struct candidate_text *text,
		       const uint8_t *code, uint64_t address, size_t length, unsigned nesting)
{
	bool reached[UINT8_MAX + 1] = { true };

	for (size_t at = 0; at < text->size; at++) {
		if (!reached[at])
			continue;
		if (code[at] == text->bytes[at])
			reached[at + 1] = true;
		reached[at + match_piece(sites, text, at, code, address, nesting)] = true;
		reached[at + match_filler(text, at, code)] = true;
	}
	return reached[text->size] && is_padding(code + text->size, length - text->size);
}

static bool match_alternative(struct patch_sites *sites, const struct patch_site *site,
			      const uint8_t *code, uint64_t address, unsigned nesting)
{
	struct candidate_text text = { .address = site->address, .size = site->length };

	text.bytes = kernel_file_at(sites->file, text.address, text.size);
	if (text.bytes && match_text(sites, &text, code, address, site->length, nesting))
		return true;
	text = (struct candidate_text){ .address = site->other, .size = site->other_length };
	text.bytes = kernel_file_at(sites->file, text.address, text.size);
	return text.bytes && text.size <= site->length &&
	       match_text(sites, &text, code, address, site->length, nesting);
}

/* --- all of them */

/* Constants that are set in code: include/asm-generic/runtime-const.h. */
static bool match_constant(const struct patch_sites *sites, const struct patch_site *site,
			   const uint8_t *code)
{
	uint64_t value;

	if (!read_variable(sites, site->other, &value))
		return false;
	return site->kind == PATCH_POINTER ? load_le64(code) == value : code[0] == (uint8_t)value;
}

/* One without a symbol is at least a pointer, or the end of user space (47 and 56 bits), and everywhere the same. */
static bool match_unnamed(const struct patch_sites *sites, const struct patch_site *site,
			  const uint8_t *code)
{
	const uint8_t *first = memory_at(sites, site->other, site->length);

	if (!first || memcmp(code, first, site->length) != 0)
		return false;
	if (site->length < 8)
		return code[0] < 64; /* a shift */
	uint64_t value = load_le64(code);
	return kernel_is_pointer(sites->run->kernel, value) || value == 0x00007ffffffff000 ||
	       value == 0x00fffffffffff000;
}

/* The code that a site has, or may have elsewhere, in memory: at an address of the file. */
static bool match_site(struct patch_sites *sites, const struct patch_site *site,
		       const uint8_t *code, uint64_t address, unsigned nesting)
{
	switch (site->kind) {
	case PATCH_ALTERNATIVE: return match_alternative(sites, site, code, address, nesting);
	case PATCH_PARAVIRT: return match_paravirt(sites, site, code, address);
	case PATCH_RETPOLINE: return match_retpoline(sites, site, code, address);
	case PATCH_RETURN: return match_return(sites, code, address);
	case PATCH_LANDING: return is_filler(code, site->length, false);
	case PATCH_CALL: return match_call(sites, site, code, address);
	case PATCH_LOCK: return code[0] == 0xf0 || code[0] == 0x3e;
	case PATCH_TRACE: return match_trace(sites, code, address);
	case PATCH_TRACER: return match_tracer(sites, site, code, address);
	case PATCH_JUMP: return match_jump(site, code, address);
	case PATCH_STATIC_CALL: return match_static_call(sites, site, code, address);
	case PATCH_POINTER:
	case PATCH_SHIFT: return match_constant(sites, site, code);
	case PATCH_UNNAMED: return match_unnamed(sites, site, code);
	case PATCH_PROBE:
		return code[0] == TRAP || (site->length == 5 && code[0] == JUMP &&
					   is_made(sites, branch_target(code + 1, address + 5)));
	}
	return false;
}

bool patch_match(struct patch_sites *sites, const struct patch_site *site)
{
	const uint8_t *code = memory_at(sites, site->address, site->length);

	return code && match_site(sites, site, code, site->address, NESTING);
}
