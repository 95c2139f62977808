/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a datagram that came to those that answer it. */
#include "serve/endpoint.h"

enum { TYPE_WRITE_3DW = 0x40, TYPE_WRITE_4DW = 0x60 };

#define DATAGRAM_MAX (NETTLP_HEADER_SIZE + TLP_COMPLETION_SIZE + TLP_DATA_MAX)

/* One request while it is answered. */
struct answer {
	struct sockaddr_in to;
	uint16_t port;     /* the completions come from this socket */
	uint64_t now, due; /* due is now if there is no delay */
	bool is_late;
};

/* --- completions */

/*
 * Where completions go. The adapter has the port of the tag on both ends; whoever uses none of these
 * ports is behind something that knows only the way back.
 */
static void route(const struct endpoint *endpoint, const struct sockaddr_in *from, uint16_t port,
		  uint8_t tag, struct answer *answer)
{
	uint16_t their_port = ntohs(from->sin_port);

	answer->to = *from;
	answer->port = port;
	if (their_port < NETTLP_DEVICE_PORT || their_port >= NETTLP_DEVICE_PORT + TAGS_MAX)
		return;
	answer->to.sin_port = htons((uint16_t)(NETTLP_DEVICE_PORT + tag));
	if (tag < endpoint->options->tags)
		answer->port = tag;
}

/* The adapter's clock has 156.25 MHz. */
static struct nettlp_header next_header(struct endpoint *endpoint, uint64_t now)
{
	if (endpoint->options->no_clock)
		return (struct nettlp_header){ 0 };
	return (struct nettlp_header){ endpoint->sequence++, (uint32_t)(now * 5 / 32) };
}

static size_t encode(struct endpoint *endpoint, const struct tlp_completion *completion,
		     uint64_t now, uint8_t *out)
{
	const struct nettlp_header header = next_header(endpoint, now);
	uint8_t *tlp = out + NETTLP_HEADER_SIZE;

	nettlp_header_encode(&header, out);
	size_t size = tlp_completion_encode(completion, tlp);
	if (completion->data.size > 0)
		memcpy(tlp + size, completion->data.data, completion->data.size);
	size += completion->data.size;
	if (faults_happen(&endpoint->faults, endpoint->options->corrupt)) {
		endpoint->result->corrupted++;
		size = faults_corrupt(&endpoint->faults, tlp, size);
	}
	return NETTLP_HEADER_SIZE + size;
}

static void deliver(struct endpoint *endpoint, const struct answer *answer, bool is_last,
		    uint64_t due, const uint8_t *datagram, size_t size)
{
	const struct delivery delivery = { &answer->to, answer->port, is_last };

	if (due > answer->now)
		sender_send_later(endpoint->sender, &delivery, due, datagram, size);
	else
		sender_send(endpoint->sender, &delivery, datagram, size);
}

/* A completion goes out, as the faults let it. */
static void emit(struct endpoint *endpoint, const struct answer *answer,
		 const struct tlp_completion *completion, bool is_last)
{
	const struct kioku_serve_options *options = endpoint->options;
	struct kioku_serve_result *result = endpoint->result;
	struct faults *faults = &endpoint->faults;
	uint8_t datagram[DATAGRAM_MAX];
	size_t size = encode(endpoint, completion, answer->now, datagram);
	uint64_t due = answer->due;

	result->completions++;
	if (faults_happen(faults, options->loss)) {
		result->dropped++;
		endpoint->waiting -= is_last;
		return;
	}
	if (faults_happen(faults, options->reorder)) {
		result->reordered++;
		due += faults_detour(faults);
	}
	deliver(endpoint, answer, is_last, due, datagram, size);
	if (faults_happen(faults, options->duplicate)) {
		result->duplicated++;
		deliver(endpoint, answer, false, due + faults_detour(faults), datagram, size);
	}
}

/* How many of the bytes that were asked for are in the completions. */
static uint64_t bytes_in(const struct tlp_read *read, const struct completions *completions)
{
	const struct tlp_completion *last = &completions->list[completions->count - 1];

	return last->status == TLP_SUCCESSFUL ? read->size : 0;
}

static void emit_all(struct endpoint *endpoint, struct answer *answer)
{
	struct completions *completions = &endpoint->completions;
	uint64_t delay = faults_delay(&endpoint->faults, &answer->is_late);

	answer->now = endpoint_now();
	answer->due = answer->now + delay;
	endpoint->result->late += answer->is_late;
	/* Who asked has given up on one that is late. */
	endpoint->waiting += !answer->is_late;
	for (size_t i = 0; i < completions->count; i++)
		emit(endpoint, answer, &completions->list[i],
		     i + 1 == completions->count && !answer->is_late);
}

/* --- requests */

static void count_refused(struct kioku_serve_result *result, struct bytes tlp)
{
	bool is_write =
		tlp.size > 0 && (tlp.data[0] == TYPE_WRITE_3DW || tlp.data[0] == TYPE_WRITE_4DW);

	result->writes += is_write;
	result->malformed += !is_write;
}

static void answer_read(struct endpoint *endpoint, const struct sockaddr_in *from, uint16_t port,
			const struct tlp_read *read)
{
	const struct kioku_serve_options *options = endpoint->options;
	struct kioku_serve_result *result = endpoint->result;
	struct random *splits = options->split ? &endpoint->faults.splits : NULL;
	struct answer answer;

	enum completer_verdict verdict =
		completer_answer(&endpoint->completer, read, splits, &endpoint->completions);
	result->malformed += verdict == COMPLETER_MALFORMED;
	if (verdict == COMPLETER_MALFORMED)
		return;
	result->requests++;
	result->outside += verdict == COMPLETER_OUTSIDE;
	result->absent += verdict == COMPLETER_ABSENT;
	result->translated += read->address_type != 0;
	if (faults_happen(&endpoint->faults, options->error)) {
		result->failed++;
		faults_fail(&endpoint->faults, &endpoint->completions);
	}
	result->bytes += bytes_in(read, &endpoint->completions);
	route(endpoint, from, port, read->tag, &answer);
	emit_all(endpoint, &answer);
}

static void take(struct endpoint *endpoint, const struct sockaddr_in *from, uint16_t port,
		 struct bytes datagram)
{
	const struct kioku_serve_options *options = endpoint->options;
	struct kioku_serve_result *result = endpoint->result;
	struct nettlp_header header;
	struct tlp_read read;
	struct bytes tlp = { 0 };

	if (!endpoint_knows(endpoint, from))
		return;
	if (faults_happen(&endpoint->faults, options->loss)) {
		result->dropped++;
		return;
	}
	bool is_doubled = faults_happen(&endpoint->faults, options->duplicate);
	result->duplicated += is_doubled;
	if (!nettlp_header_decode(datagram, &header, &tlp) || tlp_read_decode(tlp, &read)) {
		count_refused(result, tlp);
		return;
	}
	answer_read(endpoint, from, port, &read);
	if (is_doubled)
		answer_read(endpoint, from, port, &read);
}

void endpoint_receive(struct endpoint *endpoint, uint16_t port)
{
	struct batch *batch = &endpoint->batch;
	size_t count = endpoint_fill_batch(endpoint, endpoint->sockets[port]);

	for (size_t i = 0; i < count; i++)
		take(endpoint, &batch->from[i], port,
		     (struct bytes){ batch->data[i], batch->messages[i].msg_len });
}
