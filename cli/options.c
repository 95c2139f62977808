/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "command.h"
#include "message.h"
#include "number.h"
#include "options.h"

typedef bool parse_fn(struct options *options, const struct command *command, const char *text);

static parse_fn parse_format, parse_pids, parse_cr3, parse_map, parse_as, parse_compress,
	parse_digest, parse_rate, parse_timeout, parse_threads, parse_range, parse_to, parse_retry,
	parse_tokens, parse_quota, parse_count, parse_connections, parse_area, parse_swap;

/* Row i belongs to OPTION_ bit i. */
static const struct option_row table[] = {
	{ "help", 'h', NULL, GIVEN, "print this text" },
	{ "format", 'f', "FORMATS", BY(parse_format), "how to print; the first is the default" },
	{ "columns", 'c', "LIST", TEXT_OF(columns),
	  "show these columns, in this order; \"all\" shows every one" },
	{ "pid", 'p', "LIST", BY(parse_pids), "only these processes: 1,17 or --pid 1 --pid 17" },
	{ "pid", 'p', "PID", BY(parse_pids), "in the address space of this process" },
	{ "cr3", 0, "VALUE", BY(parse_cr3), "in the address space whose page tables start here" },
	{ "physical", 0, NULL, GIVEN, "ADDRESS is physical" },
	{ "all", 'a', NULL, GIVEN, "show the rows that are hidden by default, too" },
	{ "name", 'n', "GLOB", TEXT_OF(name), "only names that match, as in 'tcp_*'" },
	{ "steps", 0, NULL, GIVEN, "show every page table entry on the way" },
	{ "pad", 0, NULL, GIVEN, "write zeros for bytes that cannot be read" },
	{ "output", 'o', "FILE", TEXT_OF(output), "write to FILE" },
	{ "map", 0, "START-END@OFFSET", BY(parse_map),
	  "in a raw image, END included, these physical addresses are at OFFSET" },
	{ "profile", 0, "FILE", TEXT_OF(profile), "use a profile that \"kioku profile\" saved" },
	{ "no-cache", 0, NULL, GIVEN, "neither use nor keep cached profiles" },
	{ "stats", 0, NULL, GIVEN, "say on stderr what reading the source has cost" },
	{ "list", 0, NULL, GIVEN, "only the names: of all commands, or of COMMAND's columns" },
	{ "output", 'o', "FILE|DIR/|-", TEXT_OF(output), "where the image goes; required" },
	{ "as", 0, "FORMAT", BY(parse_as),
	  "the image's format; kdump:CODEC says how it packs pages" },
	{ "compress", 0, "CODEC[:LEVEL]", BY(parse_compress), "pack the image, or \"none\"" },
	{ "digest", 0, "LIST", BY(parse_digest),
	  "of md5 and sha256 (the default is both), or \"none\"" },
	{ "sign", 0, "KEY", TEXT_OF(capture.signing_key),
	  "sign the manifest with this Ed25519 key, in PEM" },
	{ "manifest", 0, "FILE", TEXT_OF(manifest),
	  "the manifest is here, and not beside the image" },
	{ "context", 0, NULL, GIVEN,
	  "archive what makes the image readable, the default when live" },
	{ "no-context", 0, NULL, GIVEN, "do not archive it" },
	{ "swap", 0, NULL, GIVEN, "copy swap areas, too" },
	{ "rate", 0, "BYTES", BY(parse_rate), "read at most so many bytes (or K, M, G) a second" },
	{ "timeout", 0, "MS", BY(parse_timeout), "give up a page after so long; 0: never" },
	{ "threads", 0, "COUNT", BY(parse_threads), "use so many threads; 0: one for each CPU" },
	{ "low-priority", 0, NULL, GIVEN, "use the CPU and the disk only when nobody else does" },
	{ "key", 0, "FILE", TEXT_OF(key),
	  "the manifest must be signed for this public key, in PEM" },
	{ "range", 0, "START-END|START+SIZE", BY(parse_range),
	  "only these bytes of the file, END included" },
	{ "to", 0, "DEST", BY(parse_to),
	  "tcp://, tcp-listen://, ssh:// or kioku://: where the image is sent" },
	{ "token-file", 0, "FILE", TEXT_OF(token_file),
	  "what proves who sends, kept off the command line" },
	{ "retry", 0, "SECONDS", BY(parse_retry), "how long a lost link is tried again" },
	{ "listen", 0, "ADDR:PORT", TEXT_OF(receive.listen),
	  "the default is every address, port 7633" },
	{ "advertise", 0, "ADDR", TEXT_OF(receive.advertise), "the address that senders are told" },
	{ "out", 'o', "DIR", TEXT_OF(receive.folder),
	  "images go to folders in DIR; the default is here" },
	{ "standing", 0, NULL, GIVEN, "tokens may be used again and again" },
	{ "tokens", 0, "COUNT", BY(parse_tokens), "keep so many unused tokens ready" },
	{ "quota", 0, "BYTES", BY(parse_quota), "take at most so many bytes by one token" },
	{ "count", 0, "COUNT", BY(parse_count), "end after so many images" },
	{ "connections", 0, "COUNT", BY(parse_connections), "at once; the default is 256" },
	{ "json", 0, NULL, GIVEN, "print an event a line" },
	{ "store", 0, "URL", TEXT_OF(receive.store),
	  "upload what is done to this bucket: https://..." },
	{ "store-region", 0, "NAME", TEXT_OF(receive.store_region),
	  "of the bucket; the default is us-east-1" },
	{ "store-credentials", 0, "FILE", TEXT_OF(receive.store_credentials),
	  "for the bucket; the default is the environment" },
	{ "store-ca", 0, "FILE", TEXT_OF(receive.store_ca), "certificates to trust, in PEM" },
	{ "area", 0, "heap|stack|START-END|NAME", BY(parse_area),
	  "only this part of memory, END included; may be given again" },
	{ "swap", 0, "FILE", BY(parse_swap),
	  "the image of a swap area of this machine; may be given again" },
	{ "fstype", 0, "NAME", TEXT_OF(fstype), "only file systems of this type, as in tmpfs" },
	{ "path", 0, "GLOB", TEXT_OF(path), "only files that match, and what is below them" },
	{ "vmlinux", 0, "FILE", TEXT_OF(vmlinux),
	  "compare its code with this vmlinux or vmlinuz of the same build" },
	{ "no-btf", 0, NULL, GIVEN, "work out layouts from memory, as if the kernel had no BTF" },
	{ "types", 0, "FILE", TEXT_OF(types),
	  "the kernel's types: vmlinux, debug file, BTF, ISF or profile" },
	{ "symbols", 0, "FILE", TEXT_OF(symbols),
	  "the kernel's symbols: System.map, kallsyms, vmlinux" },
	{ "force", 0, NULL, GIVEN, "use FILE even if it does not fit the image" },
};

enum {
	OPTION_COUNT = sizeof(table) / sizeof(table[0]),
	OWN_LIMIT = 32, /* of a command's own */
	LONG_BASE = 256,
};

static bool parse_format(struct options *options, const struct command *command, const char *text)
{
	for (size_t i = 0; command->formats[i]; i++) {
		if (strcmp(command->formats[i], text) == 0) {
			options->format = command->formats[i];
			return true;
		}
	}
	return false;
}

static bool parse_pids(struct options *options, const struct command *command, const char *text)
{
	AUTO_FREE char *copy = strdup(text);
	char *rest = copy;

	for (char *item; copy && (item = strsep(&rest, ","));) {
		int32_t *grown =
			reallocarray(options->pids, options->pid_count + 1, sizeof(*options->pids));
		if (!grown)
			return false;
		options->pids = grown;
		if (!pid_parse(item, &options->pids[options->pid_count++]))
			return false;
	}
	return copy && (options->pid_count == 1 || !(command->options & OPTION_PID));
}

static bool parse_cr3(struct options *options, const struct command *command, const char *text)
{
	return address_parse(text, &options->cr3);
}

static bool parse_map(struct options *options, const struct command *command, const char *text)
{
	AUTO_FREE char *copy = strdup(text);
	char *rest = copy;
	const char *start_text = copy ? strsep(&rest, "-") : NULL;
	const char *end_text = rest ? strsep(&rest, "@") : NULL;
	uint64_t start, end, offset;

	if (!end_text || !rest || !address_parse(start_text, &start) ||
	    !address_parse(end_text, &end) || !address_parse(rest, &offset) || end < start ||
	    end - start == UINT64_MAX)
		return false;

	struct kioku_placement *grown = reallocarray(
		options->placements, options->placement_count + 1, sizeof(*options->placements));
	if (!grown)
		return false;
	options->placements = grown;
	options->placements[options->placement_count++] =
		(struct kioku_placement){ start, end - start + 1, offset };
	return true;
}

/* "NAME:REST" to NAME, if it is short enough for a name at all; REST is NULL without a colon. */
static bool split_name(const char *text, char *name, size_t size, const char **rest)
{
	size_t length = strcspn(text, ":");

	if (length >= size)
		return false;
	memcpy(name, text, length);
	name[length] = '\0';
	*rest = text[length] == ':' ? text + length + 1 : NULL;
	return true;
}

static bool parse_as(struct options *options, const struct command *command, const char *text)
{
	const struct kioku_image_format *const *formats = kioku_image_formats();
	char name[16];

	if (!split_name(text, name, sizeof(name), &options->capture.page_codec))
		return false;
	while (*formats && strcmp((*formats)->name, name) != 0)
		formats++;
	options->capture.format = *formats ? (*formats)->name : NULL;
	/* Only the pages of a kdump have codecs of their own. */
	return *formats && (!options->capture.page_codec || strcmp(name, "kdump") == 0);
}

static bool parse_compress(struct options *options, const struct command *command, const char *text)
{
	const char *const *codecs = kioku_image_codecs();
	const char *level;
	char name[16];
	uint64_t value = 0;

	if (!split_name(text, name, sizeof(name), &level))
		return false;
	options->capture.codec = "none";
	if (strcmp(name, "none") == 0)
		return !level;
	while (*codecs && strcmp(*codecs, name) != 0)
		codecs++;
	if (level && (!number_parse(level, &value) || value == 0 || value > 100))
		return false;
	options->capture.codec = *codecs;
	options->capture.level = (int)value;
	return *codecs;
}

static bool parse_digest(struct options *options, const struct command *command, const char *text)
{
	AUTO_FREE char *copy = strdup(text);
	char *rest = copy;

	options->capture.digests = 0;
	if (strcmp(text, "none") == 0)
		return true;
	for (char *item; copy && (item = strsep(&rest, ","));) {
		if (strcmp(item, "md5") == 0)
			options->capture.digests |= KIOKU_DIGEST_MD5;
		else if (strcmp(item, "sha256") == 0)
			options->capture.digests |= KIOKU_DIGEST_SHA256;
		else
			return false;
	}
	return copy;
}

static bool parse_rate(struct options *options, const struct command *command, const char *text)
{
	return size_parse(text, &options->capture.rate) && options->capture.rate > 0;
}

static bool parse_timeout(struct options *options, const struct command *command, const char *text)
{
	uint64_t value;

	if (!number_parse(text, &value) || value > INT32_MAX)
		return false;
	options->capture.read_timeout = (unsigned)value;
	return true;
}

static bool parse_threads(struct options *options, const struct command *command, const char *text)
{
	uint64_t value;

	if (!number_parse(text, &value) || value > 1024)
		return false;
	options->threads = (unsigned)value;
	return true;
}

static bool parse_range(struct options *options, const struct command *command, const char *text)
{
	AUTO_FREE char *copy = strdup(text);
	char *rest = copy;
	const char *start_text = copy ? strsep(&rest, "-+") : NULL;
	uint64_t *start = &options->range_start, *size = &options->range_size, last;

	if (!rest || !address_parse(start_text, start))
		return false;
	if (text[rest - copy - 1] == '+')
		return size_parse(rest, size) && *size > 0 &&
		       !__builtin_add_overflow(*start, *size - 1, &last);
	if (!address_parse(rest, &last) || last < *start || last - *start == UINT64_MAX)
		return false;
	*size = last - *start + 1;
	return true;
}

/* A key is for this process alone, and whoever lists processes sees their arguments. */
static void hide_key(const char *text)
{
	char *key = strchr((char *)(uintptr_t)text, '#');

	if (key)
		memset(key + 1, '*', strlen(key + 1));
}

static bool parse_to(struct options *options, const struct command *command, const char *text)
{
	free(options->to);
	options->to = strdup(text);
	if (options->to)
		hide_key(text);
	return options->to && text[0];
}

static bool parse_swap(struct options *options, const struct command *command, const char *text)
{
	if (options->swap_count == SWAP_LIMIT)
		return false;
	options->swaps[options->swap_count++] = text;
	return text[0] != '\0';
}

/* At least 1. */
static bool parse_unsigned(const char *text, uint64_t limit, unsigned *out)
{
	uint64_t value;

	if (!number_parse(text, &value) || value == 0 || value > limit)
		return false;
	*out = (unsigned)value;
	return true;
}

static bool parse_retry(struct options *options, const struct command *command, const char *text)
{
	return parse_unsigned(text, INT32_MAX, &options->capture.retry);
}

static bool parse_tokens(struct options *options, const struct command *command, const char *text)
{
	return parse_unsigned(text, 1024, &options->receive.tokens);
}

static bool parse_quota(struct options *options, const struct command *command, const char *text)
{
	return size_parse(text, &options->receive.quota) && options->receive.quota > 0;
}

static bool parse_count(struct options *options, const struct command *command, const char *text)
{
	return number_parse(text, &options->receive.count) && options->receive.count > 0;
}

static bool parse_connections(struct options *options, const struct command *command,
			      const char *text)
{
	return parse_unsigned(text, 65536, &options->receive.connections);
}

/* START-END, END included, or a name: no name of a mapping looks like that. */
static bool parse_area(struct options *options, const struct command *command, const char *text)
{
	struct kioku_area *area = &options->areas[options->area_count];
	const char *dash = strchr(text, '-');
	char start[32];

	if (options->area_count == AREA_LIMIT || text[0] == '\0')
		return false;
	options->area_count++;
	if (dash && (size_t)(dash - text) < sizeof(start)) {
		memcpy(start, text, (size_t)(dash - text));
		start[dash - text] = '\0';
		uint64_t first, last;
		if (address_parse(start, &first) && address_parse(dash + 1, &last)) {
			*area = (struct kioku_area){ .start = first, .end = last + 1 };
			return first <= last && last < UINT64_MAX;
		}
	}
	area->name = text;
	return true;
}

/* The positional arguments that a usage line such as "SOURCE [COMMAND]" asks for. */
static int check_arguments(struct options *options, const struct command *command, int argc,
			   char **argv)
{
	AUTO_FREE char *usage = strdup(command->usage);
	char *rest = usage && *usage ? usage : NULL;
	int index = 0;

	options->all_arguments = argv;
	options->argument_count = (size_t)argc;
	for (char *word; (word = strsep(&rest, " ")); index++) {
		if (strstr(word, "..."))
			return STATUS_COMPLETE;
		if (index < argc)
			options->arguments[index] = argv[index];
		else if (word[0] != '[')
			return message_usage("%s: %s is missing; see kioku help %s", command->name,
					     word, command->name);
	}
	if (index < argc)
		return message_usage("%s: \"%s\" is one argument too many; see kioku help %s",
				     command->name, argv[index], command->name);
	return STATUS_COMPLETE;
}

/* --- rows, those of the command's own behind those of the table */

/* NULL if the command does not take it. */
static const struct option_row *row_at(const struct command *command, int index)
{
	if (index >= OPTION_COUNT)
		return &command->own[index - OPTION_COUNT];
	return command->options & UINT64_C(1) << index ? &table[index] : NULL;
}

static int row_count(const struct command *command)
{
	return OPTION_COUNT + (int)command->own_count;
}

/* getopt's own tables, from the rows that this command takes. */
static void prepare_getopt(const struct command *command, struct option *longs, char *shorts)
{
	*shorts++ = ':'; /* a missing argument is told apart from an unknown option */
	for (int i = 0; i < row_count(command); i++) {
		const struct option_row *row = row_at(command, i);
		if (!row)
			continue;
		*longs++ = (struct option){
			.name = row->name,
			.has_arg = row->argument ? required_argument : no_argument,
			.val = LONG_BASE + i,
		};
		if (row->letter) {
			*shorts++ = row->letter;
			if (row->argument)
				*shorts++ = ':';
		}
	}
	*longs = (struct option){ 0 };
	*shorts = '\0';
}

static int index_of(const struct command *command, int value)
{
	if (value >= LONG_BASE)
		return value - LONG_BASE;
	for (int i = 0; i < row_count(command); i++) {
		const struct option_row *row = row_at(command, i);
		if (row && row->letter == value)
			return i;
	}
	return -1;
}

/* What an option's argument looks like, for help and errors. */
static const char *argument_text(const struct command *command, const struct option_row *row,
				 char *out, size_t size)
{
	if (row->parse != parse_format)
		return row->argument ? row->argument : "";
	size_t used = 0;
	for (size_t i = 0; command->formats[i] && used < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i > 0 ? "|" : "",
					 command->formats[i]);
	return out;
}

/* False for an argument that is empty. */
static bool keep(struct options *options, const struct option_row *row, const char *text)
{
	void *member = (char *)options + row->member;

	if (row->member == 0)
		return true;
	if (row->argument)
		*(const char **)member = text;
	else
		*(bool *)member = true;
	return !row->argument || text[0] != '\0';
}

/* Takes the option that getopt_long() found. */
static int take_option(struct options *options, const struct command *command, int index)
{
	const struct option_row *row = row_at(command, index);
	char expected[64];

	if (index < OPTION_COUNT)
		options->given |= UINT64_C(1) << index;
	if (row->parse ? row->parse(options, command, optarg) : keep(options, row, optarg))
		return STATUS_COMPLETE;
	return message_usage("%s: --%s cannot be \"%s\"; expected %s", command->name, row->name,
			     optarg, argument_text(command, row, expected, sizeof(expected)));
}

int options_parse(struct options *options, const struct command *command, int argc, char **argv)
{
	struct option longs[OPTION_COUNT + OWN_LIMIT + 1];
	char shorts[2 * (OPTION_COUNT + OWN_LIMIT) + 2];
	int value;

	prepare_getopt(command, longs, shorts);
	options->format = command->formats ? command->formats[0] : NULL;
	opterr = 0;
	optind = 1;
	while ((value = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const char *word = argv[optind - 1];
		if (value == ':')
			return message_usage("%s: %s needs an argument", command->name, word);
		int index = index_of(command, value);
		if (value == '?' || index < 0)
			return message_usage("%s: no such option: %s; see kioku help %s",
					     command->name, word, command->name);
		if (take_option(options, command, index) != STATUS_COMPLETE)
			return STATUS_USAGE;
	}
	if (options->given & OPTION_HELP)
		return STATUS_COMPLETE;
	if (__builtin_popcountll(options->given & (OPTIONS_SPACE | OPTION_PHYSICAL)) > 1)
		return message_usage("%s: only one of --pid, --cr3 and --physical can be used",
				     command->name);
	return check_arguments(options, command, argc - optind, argv + optind);
}

void options_release(struct options *options)
{
	free(options->pids);
	free(options->placements);
	free(options->to);
}

void options_print_help(FILE *file, const struct command *command)
{
	for (int i = 0; i < row_count(command); i++) {
		const struct option_row *row = row_at(command, i);
		char argument[64], left[128];
		if (!row)
			continue;
		snprintf(left, sizeof(left), "%c%c%c --%s %s", row->letter ? '-' : ' ',
			 row->letter ? row->letter : ' ', row->letter ? ',' : ' ', row->name,
			 argument_text(command, row, argument, sizeof(argument)));
		fprintf(file, "  %-34s  %s\n", left, row->help);
	}
}
