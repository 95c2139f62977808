/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <kioku/serve.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "base/file_text.h"
#include "format/iomem_format.h"
#include "serve/endpoint.h"

enum {
	DEFAULT_REQUESTER = 0x0100,
	DEFAULT_PAYLOAD = 256,
	DEFAULT_BOUNDARY = 64,
	PAYLOAD_MIN = 128,
	RANGES_LIMIT = 1 << 20, /* bytes; /proc/iomem of large machines has some 10 KiB */
};

/* --- what was asked for */

static enum kioku_status parse_address(const char *text, struct in_addr *out,
				       struct kioku_error *error)
{
	return inet_pton(AF_INET, text, out) == 1 ? KIOKU_OK
						  : error_set(error, KIOKU_ERROR_ARGUMENT,
							      "not an IPv4 address: \"%s\"", text);
}

static bool is_percent(double value)
{
	return value >= 0 && value <= 100; /* and a number */
}

/* Puts defaults in. */
static enum kioku_status settle(const struct kioku_serve_options *given,
				struct kioku_serve_options *out, struct kioku_error *error)
{
	*out = *given;
	out->tags = given->tags ? given->tags : TAGS_MAX;
	out->requester = given->requester ? given->requester : DEFAULT_REQUESTER;
	out->payload = given->payload ? given->payload : DEFAULT_PAYLOAD;
	out->boundary = given->boundary ? given->boundary : DEFAULT_BOUNDARY;
	const char *problem = !given->nettlp || !given->event ? "an address and event() are needed"
			      : out->tags > TAGS_MAX          ? "there are at most 256 tags"
			      : out->payload < PAYLOAD_MIN || out->payload > TLP_DATA_MAX ||
					      out->payload & (out->payload - 1)
				      ? "a payload is 128, 256, 512, 1024, 2048 or 4096 bytes"
			      : out->boundary != 64 && out->boundary != 128
				      ? "a boundary is 64 or 128 bytes"
			      : !is_percent(out->loss) || !is_percent(out->duplicate) ||
					      !is_percent(out->reorder) || !is_percent(out->late) ||
					      !is_percent(out->error) || !is_percent(out->corrupt)
				      ? "a chance is 0 to 100 percent"
				      : NULL;
	return problem ? error_set(error, KIOKU_ERROR_ARGUMENT, "%s", problem) : KIOKU_OK;
}

/* --- what is RAM */

static enum kioku_status list_ram(struct bytes text, struct range_map *ram,
				  struct kioku_error *error)
{
	switch (iomem_list_ram(text, ram)) {
	case IOMEM_OK: return KIOKU_OK;
	case IOMEM_NO_MEMORY: return error_no_memory(error);
	case IOMEM_HIDDEN:
		return error_set(error, KIOKU_ERROR_CORRUPT,
				 "all its addresses are zero: it was read without privileges");
	case IOMEM_NO_RAM:
		return error_set(error, KIOKU_ERROR_CORRUPT, "it has no line \"System RAM\"");
	case IOMEM_DAMAGED: break;
	}
	return error_set(error, KIOKU_ERROR_CORRUPT, "it is no listing like /proc/iomem");
}

/* --- */

static enum kioku_status open_ranges(struct endpoint *endpoint, struct kioku_error *error)
{
	const char *path = endpoint->options->ranges;
	AUTO_FILE_TEXT struct file_text text = { 0 };

	if (!path)
		return KIOKU_OK;
	TRY(file_text_read(&text, AT_FDCWD, path, RANGES_LIMIT, error));
	enum kioku_status status = list_ram(file_text_bytes(&text), &endpoint->ram, error);
	if (status != KIOKU_OK)
		error_prefix(error, "%s", path);
	endpoint->completer.ram = &endpoint->ram;
	return status;
}

static enum kioku_status open_endpoint(struct endpoint *endpoint, struct kioku_source *source,
				       struct kioku_error *error)
{
	static const uint8_t refusals[] = {
		[KIOKU_SERVE_NO_IOMMU] = TLP_SUCCESSFUL,
		[KIOKU_SERVE_IOMMU_UNSUPPORTED] = TLP_UNSUPPORTED_REQUEST,
		[KIOKU_SERVE_IOMMU_ABORT] = TLP_COMPLETER_ABORT,
	};
	const struct kioku_serve_options *options = endpoint->options;

	TRY(parse_address(options->nettlp, &endpoint->address, error));
	if (options->client)
		TRY(parse_address(options->client, &endpoint->client, error));
	endpoint->completer = (struct completer){
		.source = source,
		.payload = options->payload,
		.boundary = options->boundary,
		.id = options->completer,
		.refusal = refusals[options->iommu],
	};
	TRY(open_ranges(endpoint, error));
	faults_init(&endpoint->faults, options);
	TRY(endpoint_open_sockets(endpoint, error));
	return sender_open(endpoint->sockets, &endpoint->result->unsent, &endpoint->sender, error);
}

static struct endpoint *make_endpoint(const struct kioku_serve_options *options,
				      struct kioku_serve_result *result)
{
	struct endpoint *endpoint = calloc(1, sizeof(*endpoint));

	if (!endpoint)
		return NULL;
	endpoint->options = options;
	endpoint->result = result;
	endpoint_init_batch(&endpoint->batch);
	endpoint->messages = endpoint->poller = endpoint->timer = -1;
	for (size_t i = 0; i < TAGS_MAX; i++)
		endpoint->sockets[i] = -1;
	return endpoint;
}

static void release_endpoint(struct endpoint *endpoint)
{
	if (!endpoint)
		return;
	sender_close(endpoint->sender);
	for (size_t i = 0; i < TAGS_MAX; i++)
		cleanup_close(&endpoint->sockets[i]);
	cleanup_close(&endpoint->messages);
	cleanup_close(&endpoint->timer);
	cleanup_close(&endpoint->poller);
	range_map_release(&endpoint->ram);
	free(endpoint);
}

DEFINE_CLEANUP(endpoint, struct endpoint, release_endpoint)

enum kioku_status kioku_serve(struct kioku_source *source,
			      const struct kioku_serve_options *options,
			      struct kioku_serve_result *result, struct kioku_error *error)
{
	struct kioku_serve_options settled;

	*result = (struct kioku_serve_result){ 0 };
	if (options->size != sizeof(*options))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "the options of kioku_serve() are not those of this version");
	TRY(settle(options, &settled, error));
	CLEANUP(cleanup_endpoint) struct endpoint *endpoint = make_endpoint(&settled, result);
	if (!endpoint)
		return error_no_memory(error);
	TRY(open_endpoint(endpoint, source, error));
	return endpoint_run(endpoint, error);
}
