/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "source/gdb_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>

#include "base/error.h"
#include "base/socket.h"
#include "base/thread.h"
#include "format/rsp_format.h"

#define DATA_LIMIT     (32u << 10) /* bytes of a packet's data; QEMU's have 4096 */
#define INPUT_SIZE     (4 * DATA_LIMIT)
#define REQUEST_LIMIT  600u /* bytes of a packet's data that is sent */
#define IN_FLIGHT      32u
#define REQUEST_SIZE   64u /* of a request for memory, more than it ever is */
#define ACKS_LIMIT     64u
#define ANSWER_LIMIT   (4u << 20) /* bytes that the monitor may print */
#define COMMAND_LIMIT  (REQUEST_LIMIT / 2 - 8)
#define GOODBYE_WITHIN 5.0 /* seconds */
/* What a stub takes that does not say it, in bytes of data: GDB's own least. */
#define LEAST_PACKET_SIZE 400u

struct gdb_client {
	int descriptor;
	double timeout;
	bool without_acks, has_stopped;
	bool was_physical;   /* how the stub was set when this began */
	size_t read_size;    /* bytes that one packet may ask for */
	const char *problem; /* why the link is broken; NULL: it is not */
	struct kioku_source_stats stats;

	struct {
		uint8_t bytes[ACKS_LIMIT + IN_FLIGHT * REQUEST_SIZE +
			      RSP_ENCODED_SIZE(REQUEST_LIMIT)];
		size_t size;
	} out;
	size_t start, end; /* of what came and was not looked at yet */
	uint8_t in[INPUT_SIZE];
	uint8_t data[DATA_LIMIT];
};

/* --- the link */

static bool break_link(struct gdb_client *client, const char *problem)
{
	if (!client->problem)
		client->problem = problem;
	return false;
}

/* A stub that stops reading while it is sent to would otherwise hold us forever. */
static bool flush(struct gdb_client *client, double deadline)
{
	for (size_t done = 0; done < client->out.size;) {
		ssize_t sent = send(client->descriptor, client->out.bytes + done,
				    client->out.size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent >= 0) {
			done += (size_t)sent;
			continue;
		}
		double left = deadline - seconds_now();
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return break_link(client, "the debugger stub has closed the connection");
		if (left <= 0 ||
		    socket_wait_for(client->descriptor, POLLOUT, left, NULL, NULL) != KIOKU_OK)
			return break_link(client, "the debugger stub takes no more requests");
	}
	client->out.size = 0;
	return true;
}

static bool receive(struct gdb_client *client, double deadline)
{
	double left = deadline - seconds_now();

	if (!flush(client, deadline))
		return false;
	memmove(client->in, client->in + client->start, client->end - client->start);
	client->end -= client->start;
	client->start = 0;
	if (left <= 0 || socket_wait_for(client->descriptor, POLLIN, left, NULL, NULL) != KIOKU_OK)
		return break_link(client, "the debugger stub does not answer in time");
	ssize_t got = recv(client->descriptor, client->in + client->end, INPUT_SIZE - client->end,
			   MSG_DONTWAIT);
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (got <= 0)
		return break_link(client, "the debugger stub has closed the connection");
	client->end += (size_t)got;
	return true;
}

/* Goes out with the next request, or before the next wait, or when there are many. */
static bool acknowledge(struct gdb_client *client, double deadline)
{
	if (client->without_acks)
		return true;
	if (client->out.size >= ACKS_LIMIT && !flush(client, deadline))
		return false;
	client->out.bytes[client->out.size++] = '+';
	return true;
}

/* text: at most REQUEST_LIMIT bytes, or IN_FLIGHT times at most REQUEST_SIZE, one after the other */
static void put_request(struct gdb_client *client, const char *text)
{
	struct bytes data = { (const uint8_t *)text, strlen(text) };

	client->out.size += rsp_encode(data, client->out.bytes + client->out.size);
}

/* The next packet that is an answer, good until the next call. */
static bool take_answer(struct gdb_client *client, double deadline, struct bytes *out)
{
	for (;;) {
		struct bytes stream = { client->in + client->start, client->end - client->start };
		size_t used, size;
		enum rsp_kind kind = rsp_decode(stream, client->data, DATA_LIMIT, &used, &size);
		client->start += used;
		*out = (struct bytes){ client->data, size };
		if (kind == RSP_INCOMPLETE && !receive(client, deadline))
			return false;
		if (kind == RSP_REFUSED)
			return break_link(client, "the debugger stub received damaged packets");
		if (kind == RSP_DAMAGED)
			return break_link(client, "the debugger stub sent a damaged packet");
		if (kind == RSP_TOO_LONG)
			return break_link(client, "the debugger stub sent too long a packet");
		/* What never ends, but answers nothing, must end here. */
		if (kind != RSP_INCOMPLETE && seconds_now() > deadline)
			return break_link(client, "the debugger stub does not answer in time");
		if (kind != RSP_PACKET)
			continue;
		if (!acknowledge(client, deadline))
			return false;
		if (!rsp_is_stop(*out))
			return true;
		client->has_stopped = true;
	}
}

/* Sends one request; *answer is good until the next one. */
static bool ask(struct gdb_client *client, const char *request, struct bytes *answer)
{
	double deadline = seconds_now() + client->timeout;

	if (client->problem)
		return false;
	put_request(client, request);
	return flush(client, deadline) && take_answer(client, deadline, answer);
}

static bool is(struct bytes answer, const char *text)
{
	return answer.size == strlen(text) && memcmp(answer.data, text, answer.size) == 0;
}

/* --- opening and closing */

static enum kioku_status broken(const struct gdb_client *client, struct kioku_error *error)
{
	bool is_late = strstr(client->problem, "in time") != NULL;

	return error_set(
		error, is_late ? KIOKU_ERROR_LIMIT : KIOKU_ERROR_CORRUPT, "%s%s", client->problem,
		is_late ? ": it is none, or serves another debugger, and it has only one" : "");
}

static enum kioku_status greet(struct gdb_client *client, struct kioku_error *error)
{
	uint64_t packet_size = LEAST_PACKET_SIZE;
	struct bytes answer;

	if (!ask(client, "qSupported", &answer))
		return broken(client, error);
	rsp_packet_size(answer, &packet_size);
	/* A byte takes two digits. */
	client->read_size = packet_size < DATA_LIMIT ? (size_t)packet_size / 2 : DATA_LIMIT / 2;
	if (client->read_size == 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "the stub takes packets of no size");
	if (memmem(answer.data, answer.size, "QStartNoAckMode+", 16)) {
		if (!ask(client, "QStartNoAckMode", &answer))
			return broken(client, error);
		client->without_acks = is(answer, "OK");
	}
	if (!ask(client, "qqemu.PhyMemMode", &answer))
		return broken(client, error);
	client->was_physical = is(answer, "1");
	if (!ask(client, "Qqemu.PhyMemMode:1", &answer))
		return broken(client, error);
	if (!is(answer, "OK"))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "this debugger stub reads by virtual address only: it is not "
				 "QEMU's, or an old one's");
	return KIOKU_OK;
}

enum kioku_status gdb_client_open(const struct sockaddr_storage *address, socklen_t size,
				  double timeout, struct gdb_client **out,
				  struct kioku_error *error)
{
	struct gdb_client *client = calloc(1, sizeof(*client));
	int yes = 1;

	*out = client;
	if (!client)
		return error_no_memory(error);
	client->descriptor = -1;
	client->timeout = timeout;
	TRY(socket_connect(address, size, NULL, &client->descriptor, error));
	setsockopt(client->descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	return greet(client, error);
}

void gdb_client_close(struct gdb_client *client, bool resume)
{
	struct bytes answer;

	if (!client)
		return;
	if (client->timeout > GOODBYE_WITHIN)
		client->timeout = GOODBYE_WITHIN;
	/* The stub keeps this beyond the connection, and the next debugger may know nothing of it. */
	if (client->read_size > 0 && !client->was_physical)
		ask(client, "Qqemu.PhyMemMode:0", &answer);
	/* Its answer is waited for: closing with bytes unread would take back what was sent. */
	if (client->descriptor >= 0 && resume && !ask(client, "D", &answer)) {
		client->out.size = 0;
		put_request(client, "D");
		flush(client, seconds_now());
	}
	cleanup_close(&client->descriptor);
	free(client);
}

const char *gdb_client_problem(const struct gdb_client *client)
{
	return client->problem;
}

bool gdb_client_has_stopped(const struct gdb_client *client)
{
	return client->has_stopped;
}

struct kioku_source_stats gdb_client_stats(const struct gdb_client *client)
{
	return client->stats;
}

/* --- reading */

/* A part of a read that a packet asks for. */
struct flight {
	struct remote_read *read;
	uint64_t physical;
	uint8_t *out;
	size_t size;
};

/* Reads, as the parts that are yet to be asked for. */
struct queue {
	struct remote_read *reads;
	size_t count, next;
	size_t done; /* of the next one */
	struct flight flights[IN_FLIGHT];
	size_t asked, answered; /* positions in flights, counted on */
};

static void fail(struct remote_read *read, enum kioku_status status, uint64_t at,
		 const char *problem)
{
	if (read->status != KIOKU_OK)
		return;
	read->status = status;
	read->failed_at = at;
	read->problem = problem;
}

static void ask_next(struct gdb_client *client, struct queue *queue)
{
	struct remote_read *read = &queue->reads[queue->next];
	size_t left = read->size - queue->done;
	struct flight flight = { read, read->physical + queue->done, read->buffer + queue->done,
				 left < client->read_size ? left : client->read_size };
	char request[REQUEST_SIZE - 4];

	snprintf(request, sizeof(request), "m%llx,%zx", (unsigned long long)flight.physical,
		 flight.size);
	put_request(client, request);
	client->stats.requests++;
	queue->flights[queue->asked++ % IN_FLIGHT] = flight;
	queue->done += flight.size;
	if (queue->done == read->size) {
		queue->next++;
		queue->done = 0;
	}
}

static void take_part(struct gdb_client *client, const struct flight *flight, struct bytes answer)
{
	size_t got = 0;

	if (rsp_is_error(answer) || answer.size == 0) {
		fail(flight->read, KIOKU_ERROR_ABSENT, flight->physical,
		     "it is refused by the debugger stub");
		return;
	}
	if (!rsp_from_hex(answer, flight->out, flight->size, &got)) {
		break_link(client, "the debugger stub sent something else than memory");
		fail(flight->read, KIOKU_ERROR_OS, flight->physical, client->problem);
		return;
	}
	client->stats.bytes += got;
	if (got < flight->size)
		fail(flight->read, KIOKU_ERROR_ABSENT, flight->physical + got,
		     "it is left out by the debugger stub");
}

void gdb_client_read(struct gdb_client *client, struct remote_read *reads, size_t count)
{
	struct queue queue = { .reads = reads, .count = count };
	struct bytes answer;

	for (size_t i = 0; i < count; i++)
		reads[i].status = KIOKU_OK;
	client->stats.rounds += count > 0;
	while (!client->problem && (queue.next < count || queue.answered < queue.asked)) {
		while (queue.next < count && queue.asked - queue.answered < IN_FLIGHT)
			ask_next(client, &queue);
		double deadline = seconds_now() + client->timeout;
		if (flush(client, deadline) && take_answer(client, deadline, &answer))
			take_part(client, &queue.flights[queue.answered++ % IN_FLIGHT], answer);
	}
	for (size_t i = queue.answered; i < queue.asked; i++)
		fail(queue.flights[i % IN_FLIGHT].read, KIOKU_ERROR_OS,
		     queue.flights[i % IN_FLIGHT].physical, client->problem);
	for (size_t i = queue.next; i < count; i++)
		fail(&reads[i], KIOKU_ERROR_OS, reads[i].physical, client->problem);
}

/* --- the monitor */

/* A command's output comes as packets "O" and hexadecimal digits, then "OK". */
static enum kioku_status collect(struct gdb_client *client, double deadline, struct bytes answer,
				 char *text, struct kioku_error *error)
{
	size_t filled = 0, got;

	while (!is(answer, "OK")) {
		if (answer.size == 0 || answer.data[0] != 'O')
			return error_set(error, KIOKU_ERROR_UNSUPPORTED,
					 "the debugger stub has no monitor");
		struct bytes digits = { answer.data + 1, answer.size - 1 };
		if (!rsp_from_hex(digits, (uint8_t *)text + filled, ANSWER_LIMIT - filled, &got))
			return error_set(error, KIOKU_ERROR_LIMIT,
					 "the monitor says what is no text, or too much");
		filled += got;
		if (!take_answer(client, deadline, &answer))
			return error_set(error, KIOKU_ERROR_OS, "%s", client->problem);
	}
	text[filled] = '\0';
	return KIOKU_OK;
}

enum kioku_status gdb_client_monitor(struct gdb_client *client, const char *command, char **answer,
				     struct kioku_error *error)
{
	AUTO_FREE char *text = malloc(ANSWER_LIMIT + 1);
	double deadline = seconds_now() + client->timeout;
	char request[REQUEST_LIMIT] = "qRcmd,";
	struct bytes first;

	*answer = NULL;
	if (!text)
		return error_no_memory(error);
	if (strlen(command) > COMMAND_LIMIT)
		return error_set(error, KIOKU_ERROR_LIMIT, "too long a command");
	rsp_to_hex(command, strlen(command), (uint8_t *)request + strlen(request));
	if (!ask(client, request, &first))
		return error_set(error, KIOKU_ERROR_OS, "%s", client->problem);
	TRY(collect(client, deadline, first, text, error));
	*answer = TAKE(text);
	return KIOKU_OK;
}
