/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nettlp://HOST?NAME=VALUE&...: the memory of a machine that has a NetTLP adapter. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file_text.h"
#include "format/iomem_format.h"
#include "format/nettlp_format.h"
#include "source/driver.h"
#include "source/nettlp_link.h"

#define SCHEME         "nettlp://"
#define RANGES_LIMIT   (16u << 20) /* bytes of a file that lists them */
#define MESSAGE_TRIES  3
#define MESSAGE_WAIT   500 /* ms */
#define GET_DEVICE_ID  2   /* libtlp include/libtlp.h, NETTLP_MSG_GET_DEV_ID */
#define PROBE_STEP     (2ull << 20)
#define PROBE_HOLE     (16ull << 30) /* after so much of nothing, there is nothing more */
#define PROBE_END      (4ull << 40)
#define PROBES         1024u   /* at once */
#define SURE_TO_BE_RAM 0x1000u /* of a PC */

struct nettlp {
	struct nettlp_settings settings;
	struct nettlp_link *link;
	bool has_local, has_requester, probes;
	char *ranges; /* file; NULL: none */
};

/* --- what the URL says */

static bool parse_number(const char *text, unsigned long minimum, unsigned long maximum,
			 unsigned long *out)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*out = strtoul(text, &end, 0);
	return *end == '\0' && errno == 0 && *out >= minimum && *out <= maximum;
}

static bool parse_size(const char *text, uint32_t *out)
{
	unsigned long value;

	if (!parse_number(text, 128, TLP_DATA_MAX, &value) || (value & (value - 1)))
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool parse_milliseconds(const char *text, uint32_t *out)
{
	unsigned long value;

	if (!parse_number(text, 1, 600000, &value))
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool parse_local(struct nettlp *nettlp, const char *value)
{
	nettlp->has_local = inet_pton(AF_INET, value, &nettlp->settings.local) == 1;
	return nettlp->has_local;
}

static bool parse_tags(struct nettlp *nettlp, const char *value)
{
	unsigned long tags;

	if (!parse_number(value, 1, NETTLP_TAG_LIMIT, &tags))
		return false;
	nettlp->settings.tags = (unsigned)tags;
	return true;
}

static bool parse_read_size(struct nettlp *nettlp, const char *value)
{
	return parse_size(value, &nettlp->settings.read_size);
}

static bool parse_data_size(struct nettlp *nettlp, const char *value)
{
	return parse_size(value, &nettlp->settings.data_size);
}

/* BUS:DEVFN as libtlp's programs take it, or BUS:DEVICE.FUNCTION as lspci shows it. */
static bool parse_requester(struct nettlp *nettlp, const char *value)
{
	unsigned bus, device, function;
	int used = 0;

	if (sscanf(value, "%2x:%2x%n", &bus, &device, &used) != 2)
		return false;
	if (value[used] == '.') {
		if (device > 31 || sscanf(value + used, ".%1u%n", &function, &used) != 1 ||
		    function > 7 || strlen(strchr(value, '.')) != 2)
			return false;
		device = device << 3 | function;
	} else if (value[used] != '\0') {
		return false;
	}
	nettlp->settings.requester = (uint16_t)(bus << 8 | device);
	nettlp->has_requester = true;
	return true;
}

static bool parse_ranges(struct nettlp *nettlp, const char *value)
{
	nettlp->probes = strcmp(value, "probe") == 0;
	free(TAKE(nettlp->ranges));
	if (!nettlp->probes)
		nettlp->ranges = strdup(value);
	return *value && (nettlp->probes || nettlp->ranges);
}

static bool parse_timeout(struct nettlp *nettlp, const char *value)
{
	return parse_milliseconds(value, &nettlp->settings.timeout);
}

static bool parse_quarantine(struct nettlp *nettlp, const char *value)
{
	return parse_milliseconds(value, &nettlp->settings.quarantine);
}

/* What issues the requests, as libtlp calls it: its own completers only serve the target's host. */
static bool parse_port(struct nettlp *nettlp, const char *value)
{
	unsigned long port;

	if (!parse_number(value, NETTLP_DEVICE_PORT, NETTLP_HOST_PORT, &port) ||
	    (port != NETTLP_DEVICE_PORT && port != NETTLP_HOST_PORT))
		return false;
	nettlp->settings.port = (unsigned)port;
	return true;
}

static const struct {
	const char *name, *help;
	bool (*parse)(struct nettlp *nettlp, const char *value);
} parameters[] = {
	{ "local", "an IPv4 address of this machine", parse_local },
	{ "tags", "1 to 256", parse_tags },
	{ "mrrs", "128, 256, 512, 1024, 2048 or 4096", parse_read_size },
	{ "mps", "128, 256, 512, 1024, 2048 or 4096", parse_data_size },
	{ "requester", "BUS:DEVFN in hexadecimal, or BUS:DEVICE.FUNCTION", parse_requester },
	{ "ranges", "a file like /proc/iomem, or probe", parse_ranges },
	{ "timeout", "milliseconds, 1 to 600000", parse_timeout },
	{ "quarantine", "milliseconds, 1 to 600000", parse_quarantine },
	{ "port", "0x3000 or 0x4000", parse_port },
};

#define PARAMETER_COUNT (sizeof(parameters) / sizeof(*parameters))

static enum kioku_status parse_parameter(struct nettlp *nettlp, const char *text,
					 struct kioku_error *error)
{
	const char *value = strchr(text, '=');

	for (size_t i = 0; value && i < PARAMETER_COUNT; i++) {
		size_t length = strlen(parameters[i].name);
		if (length != (size_t)(value - text) ||
		    strncmp(text, parameters[i].name, length) != 0)
			continue;
		if (parameters[i].parse(nettlp, value + 1))
			return KIOKU_OK;
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s is no %s: %s wants %s", value + 1,
				 parameters[i].name, parameters[i].name, parameters[i].help);
	}
	return error_set(
		error, KIOKU_ERROR_ARGUMENT,
		"\"%s\" is no parameter: there are local, tags, mrrs, mps, requester, ranges, "
		"timeout, quarantine and port, as NAME=VALUE",
		text);
}

static enum kioku_status parse_url(struct nettlp *nettlp, const char *where,
				   struct kioku_error *error)
{
	if (strncmp(where, SCHEME, strlen(SCHEME)) != 0)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "a NetTLP adapter is " SCHEME "ADDRESS?local=ADDRESS");
	AUTO_FREE char *text = strdup(where + strlen(SCHEME));
	if (!text)
		return error_no_memory(error);
	char *rest = strchr(text, '?');
	if (rest)
		*rest++ = '\0';
	if (*text && text[strlen(text) - 1] == '/')
		text[strlen(text) - 1] = '\0';
	if (inet_pton(AF_INET, text, &nettlp->settings.target) != 1)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "\"%s\" is no IPv4 address, which is what an adapter has", text);
	for (char *next; rest && *rest; rest = next) {
		next = strchr(rest, '&');
		if (next)
			*next++ = '\0';
		TRY(parse_parameter(nettlp, rest, error));
	}
	return KIOKU_OK;
}

/* --- what was left out */

/* A UDP socket of the message service's; its own address is the one that leads to the target. */
static int open_messages(const struct nettlp *nettlp)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(NETTLP_MESSAGE_PORT),
				       .sin_addr = nettlp->settings.target };
	int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (descriptor >= 0 && connect(descriptor, (struct sockaddr *)&address, sizeof(address)))
		cleanup_close(&descriptor), descriptor = -1;
	return descriptor;
}

static enum kioku_status find_local(struct nettlp *nettlp, int messages, struct kioku_error *error)
{
	struct sockaddr_in address = { 0 };
	socklen_t size = sizeof(address);

	if (messages < 0 || getsockname(messages, (struct sockaddr *)&address, &size) != 0)
		return error_os(error, "no address of this machine leads there");
	nettlp->settings.local = address.sin_addr;
	return KIOKU_OK;
}

/* The driver in the target says 2 bytes, little-endian (NetTLP driver, nettlp_msg.c). */
static bool ask_requester(struct nettlp *nettlp, int messages)
{
	const uint32_t question = GET_DEVICE_ID; /* of the byte order of whoever asks */
	uint8_t answer[4];

	for (unsigned i = 0; messages >= 0 && i < MESSAGE_TRIES; i++) {
		struct pollfd poll_for = { .fd = messages, .events = POLLIN };
		if (send(messages, &question, sizeof(question), 0) < 0 && errno != ECONNREFUSED)
			return false;
		if (poll(&poll_for, 1, MESSAGE_WAIT) <= 0)
			continue;
		ssize_t got = recv(messages, answer, sizeof(answer), MSG_DONTWAIT);
		if (got < 0 && errno == ECONNREFUSED)
			return false;
		if (got == 2) {
			nettlp->settings.requester = load_le16(answer);
			return true;
		}
	}
	return false;
}

static enum kioku_status complete(struct nettlp *nettlp, struct kioku_error *error)
{
	AUTO_CLOSE int messages = open_messages(nettlp);

	if (!nettlp->has_local)
		TRY(find_local(nettlp, messages, error));
	if (nettlp->settings.local.s_addr == nettlp->settings.target.s_addr)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "local=%s is the target's own address",
				 inet_ntoa(nettlp->settings.local));
	/* With a wrong id, the answers of the target go to somebody else's device. */
	if (!nettlp->has_requester && !ask_requester(nettlp, messages))
		return error_set(
			error, KIOKU_ERROR_UNSUPPORTED,
			"the target's driver does not say which id its adapter has: give it, "
			"requester=BUS:DEVFN");
	return KIOKU_OK;
}

/* --- ranges */

static enum kioku_status list_ranges(const struct nettlp *nettlp, struct range_map *ram,
				     struct kioku_error *error)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };

	TRY(file_text_read(&text, AT_FDCWD, nettlp->ranges, RANGES_LIMIT, error));
	switch (iomem_list_ram(file_text_bytes(&text), ram)) {
	case IOMEM_OK: return KIOKU_OK;
	case IOMEM_NO_MEMORY: return error_no_memory(error);
	case IOMEM_HIDDEN:
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "%s has no addresses: it was read without CAP_SYS_ADMIN",
				 nettlp->ranges);
	default:
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "%s lists no System RAM as /proc/iomem does", nettlp->ranges);
	}
}

/* Where the first and the last word of 2 MiB can be read, all of them are taken for RAM. */
static enum kioku_status probe_ranges(struct nettlp *nettlp, struct range_map *ram,
				      struct kioku_error *error)
{
	struct remote_read reads[2 * PROBES];
	uint8_t words[2 * PROBES][4];
	uint64_t found = 0;

	for (uint64_t at = 0; at < PROBE_END && at < found + PROBE_HOLE;
	     at += PROBES * PROBE_STEP) {
		for (unsigned i = 0; i < 2 * PROBES; i++) {
			uint64_t step = at + i / 2 * PROBE_STEP;
			uint64_t last = step == 0 ? 0xa0000 : step + PROBE_STEP;
			reads[i] = (struct remote_read){ .physical = i % 2 ? last - 4 : step,
							 .buffer = words[i],
							 .size = 4 };
		}
		nettlp_link_read(nettlp->link, reads, 2 * PROBES);
		for (unsigned i = 0; i < 2 * PROBES; i += 2) {
			uint64_t size = reads[i + 1].physical + 4 - reads[i].physical;
			if (reads[i].status != KIOKU_OK || reads[i + 1].status != KIOKU_OK)
				continue;
			found = reads[i].physical + size;
			if (!range_map_add(ram, (struct extent){ reads[i].physical, size,
								 reads[i].physical,
								 KIOKU_RANGE_PRESENT }))
				return error_no_memory(error);
		}
	}
	return ram->count ? KIOKU_OK
			  : error_set(error, KIOKU_ERROR_UNSUPPORTED, "no memory can be read");
}

/* --- the driver */

static void read_many(void *state, struct remote_read *reads, size_t count)
{
	nettlp_link_read(((struct nettlp *)state)->link, reads, count);
}

static struct kioku_source_stats stats(const void *state)
{
	const struct nettlp_counts *counts =
		nettlp_link_counts(((const struct nettlp *)state)->link);

	return (struct kioku_source_stats){ counts->bytes, counts->requests, counts->rounds };
}

static const struct remote_driver nettlp_remote = { .read_many = read_many, .stats = stats };

/* One word that must be there tells whether anything can be had at all. */
static enum kioku_status try_link(const struct nettlp *nettlp, uint64_t physical,
				  struct kioku_error *error)
{
	uint8_t word[4];
	struct remote_read read = { .physical = physical, .buffer = word, .size = sizeof(word) };

	nettlp_link_read(nettlp->link, &read, 1);
	if (read.status == KIOKU_OK)
		return KIOKU_OK;
	if (nettlp_link_counts(nettlp->link)->refused > 0)
		return error_set(
			error, KIOKU_ERROR_UNSUPPORTED,
			"physical address 0x%llx: %s: an IOMMU is in the way, or the adapter "
			"is not bus master",
			(unsigned long long)physical, read.problem);
	return error_set(
		error, KIOKU_ERROR_UNSUPPORTED,
		"%s: the adapter is not there, has another id than %02x:%02x, or answers to "
		"another address than %s",
		read.problem, nettlp->settings.requester >> 8, nettlp->settings.requester & 0xff,
		inet_ntoa(nettlp->settings.local));
}

static enum kioku_status open_nettlp(struct kioku_source *source,
				     const struct kioku_source_options *options,
				     struct kioku_error *error)
{
	CLEANUP(range_map_release) struct range_map ram = { 0 };
	struct nettlp *nettlp = source->state = calloc(1, sizeof(*nettlp));

	if (!nettlp)
		return error_no_memory(error);
	nettlp->settings = (struct nettlp_settings){ .port = NETTLP_DEVICE_PORT,
						     .tags = 32,
						     .read_size = 512,
						     .data_size = TLP_DATA_MAX,
						     .timeout = 500,
						     .quarantine = 2000 };
	TRY(parse_url(nettlp, source->where, error));
	if (nettlp->ranges)
		TRY(list_ranges(nettlp, &ram, error));
	TRY(complete(nettlp, error));
	TRY(nettlp_link_open(&nettlp->settings, &nettlp->link, error));
	TRY(try_link(nettlp, ram.count ? ram.extents[0].start & ~3ull : SURE_TO_BE_RAM, error));
	if (nettlp->probes) {
		TRY(probe_ranges(nettlp, &ram, error));
		diagnose(&source->diagnostics, KIOKU_WARNING,
			 "RAM is where something could be read: that it is no device is a guess");
	}
	return remote_begin(source, ram.count ? &ram : NULL, error);
}

static void close_nettlp(struct kioku_source *source)
{
	struct nettlp *nettlp = source->state;

	if (!nettlp)
		return;
	nettlp_link_close(nettlp->link);
	free(nettlp->ranges);
	free(TAKE(source->state));
}

const struct source_driver nettlp_source = {
	.name = "nettlp",
	.help = "NetTLP adapter",
	.open = open_nettlp,
	.remote = &nettlp_remote,
	.close = close_nettlp,
};
