/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options that serve alone has. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "number.h"
#include "serve_options.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct command;

/* A word that stands for a bit. */
struct word {
	const char *name;
	unsigned bit;
};

static bool parse_number(const char *text, uint64_t first, uint64_t last, unsigned *out)
{
	uint64_t value;

	if (!number_parse(text, &value) || value < first || value > last)
		return false;
	*out = (unsigned)value;
	return true;
}

static bool parse_tags(struct options *options, const struct command *command, const char *text)
{
	return parse_number(text, 1, 256, &options->serve.tags);
}

static bool parse_requester(struct options *options, const struct command *command,
			    const char *text)
{
	/* 0 would be the default. */
	return device_parse(text, &options->serve.requester) && options->serve.requester > 0;
}

static bool parse_completer(struct options *options, const struct command *command,
			    const char *text)
{
	return device_parse(text, &options->serve.completer);
}

static bool parse_mps(struct options *options, const struct command *command, const char *text)
{
	unsigned *payload = &options->serve.payload;

	return parse_number(text, 128, 4096, payload) && (*payload & (*payload - 1)) == 0;
}

static bool parse_rcb(struct options *options, const struct command *command, const char *text)
{
	unsigned *boundary = &options->serve.boundary;

	return parse_number(text, 64, 128, boundary) && (*boundary & (*boundary - 1)) == 0;
}

static bool parse_iommu(struct options *options, const struct command *command, const char *text)
{
	bool is_abort = strcmp(text, "abort") == 0;

	options->serve.iommu = is_abort ? KIOKU_SERVE_IOMMU_ABORT : KIOKU_SERVE_IOMMU_UNSUPPORTED;
	return is_abort || strcmp(text, "ur") == 0;
}

static bool parse_seed(struct options *options, const struct command *command, const char *text)
{
	return number_parse(text, &options->serve.seed);
}

static bool parse_latency(struct options *options, const struct command *command, const char *text)
{
	return time_parse(text, &options->serve.latency);
}

static bool parse_jitter(struct options *options, const struct command *command, const char *text)
{
	return time_parse(text, &options->serve.jitter);
}

static bool parse_loss(struct options *options, const struct command *command, const char *text)
{
	return percent_parse(text, &options->serve.loss);
}

static bool parse_duplicate(struct options *options, const struct command *command,
			    const char *text)
{
	return percent_parse(text, &options->serve.duplicate);
}

static bool parse_reorder(struct options *options, const struct command *command, const char *text)
{
	return percent_parse(text, &options->serve.reorder);
}

/* "PERCENT:REST": *rest is in text. */
static bool parse_chance(const char *text, double *percent, const char **rest)
{
	const char *colon = strchr(text, ':');
	AUTO_FREE char *copy = colon ? strndup(text, (size_t)(colon - text)) : NULL;

	*rest = colon + 1;
	return copy && percent_parse(copy, percent);
}

static bool parse_late(struct options *options, const struct command *command, const char *text)
{
	const char *rest;

	return parse_chance(text, &options->serve.late, &rest) &&
	       time_parse(rest, &options->serve.late_delay);
}

/* "WORD,WORD" */
static bool parse_words(const char *text, const struct word *words, size_t count, unsigned *bits)
{
	AUTO_FREE char *copy = strdup(text);
	char *rest = copy;

	*bits = 0;
	for (char *item; copy && (item = strsep(&rest, ","));) {
		size_t i = 0;
		while (i < count && strcmp(words[i].name, item) != 0)
			i++;
		if (i == count)
			return false;
		*bits |= words[i].bit;
	}
	return copy;
}

static bool parse_error(struct options *options, const struct command *command, const char *text)
{
	static const struct word words[] = {
		{ "ur", KIOKU_SERVE_ERROR_UNSUPPORTED },
		{ "ca", KIOKU_SERVE_ERROR_ABORT },
		{ "crs", KIOKU_SERVE_ERROR_RETRY },
		{ "poison", KIOKU_SERVE_ERROR_POISON },
	};
	const char *rest;

	return parse_chance(text, &options->serve.error, &rest) &&
	       parse_words(rest, words, COUNT(words), &options->serve.errors);
}

static bool parse_corrupt(struct options *options, const struct command *command, const char *text)
{
	static const struct word words[] = {
		{ "length", KIOKU_SERVE_CORRUPT_LENGTH },
		{ "tag", KIOKU_SERVE_CORRUPT_TAG },
		{ "status", KIOKU_SERVE_CORRUPT_STATUS },
		{ "address", KIOKU_SERVE_CORRUPT_ADDRESS },
		{ "requester", KIOKU_SERVE_CORRUPT_REQUESTER },
		{ "type", KIOKU_SERVE_CORRUPT_TYPE },
		{ "short", KIOKU_SERVE_CORRUPT_SHORT },
		{ "count", KIOKU_SERVE_CORRUPT_COUNT },
	};
	const char *rest;

	return parse_chance(text, &options->serve.corrupt, &rest) &&
	       parse_words(rest, words, COUNT(words), &options->serve.corruptions);
}

const struct option_row serve_options[SERVE_OPTION_COUNT] = {
	{ "nettlp", 0, "ADDR", TEXT_OF(serve.nettlp), "the IPv4 address to listen at; required" },
	{ "client", 0, "ADDR", TEXT_OF(serve.client), "answer this IPv4 address only" },
	{ "ranges", 0, "FILE", TEXT_OF(serve.ranges), "RAM is what this copy of /proc/iomem says" },
	{ "tags", 0, "COUNT", BY(parse_tags), "listen for so many tags; the default is 256" },
	{ "requester", 0, "XX:XX", BY(parse_requester),
	  "the adapter's bus and function, told to who asks" },
	{ "completer", 0, "XX:XX", BY(parse_completer), "bus and function of who answers" },
	{ "no-messages", 0, NULL, FLAG_OF(serve.no_messages),
	  "the target's driver does not answer" },
	{ "no-clock", 0, NULL, FLAG_OF(serve.no_clock),
	  "send zeros as sequence numbers and timestamps" },
	{ "mps", 0, "BYTES", BY(parse_mps),
	  "data of a completion, 128 to 4096; the default is 256" },
	{ "rcb", 0, "64|128", BY(parse_rcb), "where completions may be split" },
	{ "iommu", 0, "ur|abort", BY(parse_iommu), "refuse everything, as an IOMMU does" },
	{ "seed", 0, "NUMBER", BY(parse_seed), "of what follows; the same seed, the same faults" },
	{ "split", 0, NULL, FLAG_OF(serve.split), "split completions wherever that is allowed" },
	{ "latency", 0, "TIME", BY(parse_latency), "answer after so long: 12us, 0.5ms" },
	{ "jitter", 0, "TIME", BY(parse_jitter), "up to so much more latency" },
	{ "loss", 0, "PERCENT", BY(parse_loss), "of datagrams, both ways, are lost" },
	{ "duplicate", 0, "PERCENT", BY(parse_duplicate), "of datagrams, both ways, come twice" },
	{ "reorder", 0, "PERCENT", BY(parse_reorder), "of completions are overtaken" },
	{ "late", 0, "PERCENT:TIME", BY(parse_late), "of requests are answered so much later" },
	{ "error", 0, "PERCENT:ur|ca|crs|poison,...", BY(parse_error), "of requests fail" },
	{ "corrupt", 0, "PERCENT:FIELD,...", BY(parse_corrupt),
	  "of completions are wrong: length, tag, status, address, requester, type, short, count" },
};
