/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "format/nettlp_format.h"
#include "source/nettlp_link.h"
#include "source/nettlp_tag.h"

#define MILLISECOND   1000000ull
#define SECOND        (1000 * MILLISECOND)
#define SHORTEST_WAIT (2 * MILLISECOND) /* of what is busy elsewhere, too */
#define OVERTAKEN     (MILLISECOND / 2) /* by so much, answers may come in another order */
#define ATTEMPTS      8u                /* at one read, of a target that answers others */
#define PATIENCE      4u                /* and so many timeouts */
#define SILENCE       (30 * SECOND)     /* of a target that had answered, until it is given up */
#define FIRST_SILENCE (3 * SECOND)      /* of one that never has */
#define CLOCK_SURE    8u                /* stamps in a row that rise, until they are a clock's */
#define CLOCK_STALE   (5 * SECOND)      /* without an answer: the clock may have wrapped around */
#define DOUBTS        3u                /* attempts, until it may be the clock that is wrong */
#define EVENTS        64
#define WORDS         (TLP_DATA_MAX / 4) /* of a request */

/* A stretch of a read that is still to be asked for. */
struct piece {
	size_t read; /* index */
	uint64_t physical;
	uint32_t size;
	unsigned attempts;
	uint64_t since; /* when it was asked for at first; 0: never */
};

/* A request that is under way, by its tag. */
struct request {
	bool is_waiting;
	struct piece piece;    /* what is wanted of it */
	struct nettlp_ask ask; /* what it asks for */
	bool is_loose;         /* as of the link, when it was sent */
	uint64_t sent, deadline;
	uint32_t missing;          /* bytes */
	uint64_t came[WORDS / 64]; /* which of its words of 4 bytes */
	bool has_floor;
	uint32_t floor; /* completions of this request are stamped later than that */
	uint64_t late; /* when the request before it that was given up was sent; 0: there is none */
};

struct nettlp_link {
	struct nettlp_settings settings;
	int poll;
	int sockets[NETTLP_TAG_LIMIT]; /* -1: not open */
	unsigned socket_count;
	struct request requests[NETTLP_TAG_LIMIT];
	struct nettlp_tag *tags;
	uint8_t order[NETTLP_TAG_LIMIT]; /* free tags, the one that was free for longest first */
	unsigned free_first, free_count;
	struct piece *again; /* a stack of what was not answered in time */
	size_t again_count, again_capacity;

	uint64_t now;           /* of the monotonic clock, in nanoseconds */
	uint64_t heard;         /* when the last good answer of this batch came, or it began */
	uint64_t next_deadline; /* no request is overdue before */
	uint64_t
		answered_sent; /* when the request was sent that was sent last of all answered ones */
	uint64_t rtt, rtt_spread; /* smoothed; RFC 6298 */
	bool knows_good;          /* good_address was answered */
	uint64_t good_address;
	uint32_t newest;  /* stamp */
	uint64_t stamped; /* when it came */
	unsigned rising;  /* stamps in a row that were later than the one before */
	bool is_loose;    /* the target splits completions anywhere, as libtlp's does */
	bool is_refused;  /* nobody listens there */
	bool is_broken;
	struct nettlp_counts counts;
};

static void look_at_clock(struct nettlp_link *link)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	link->now = (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

const struct nettlp_counts *nettlp_link_counts(const struct nettlp_link *link)
{
	return &link->counts;
}

/* --- opening */

/* Both ends use the same port, as libtlp does: others may filter by it. */
static enum kioku_status open_socket(struct nettlp_link *link, unsigned index,
				     struct kioku_error *error)
{
	const struct nettlp_settings *settings = &link->settings;
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)(settings->port + index)) };
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = index };
	int size = 4 << 20, descriptor;

	descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	link->sockets[index] = descriptor;
	if (descriptor < 0)
		return error_os(error, "socket");
	setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	address.sin_addr = settings->local;
	if (bind(descriptor, (struct sockaddr *)&address, sizeof(address)) != 0)
		return error_os(error, "cannot use %s, UDP port 0x%x", inet_ntoa(settings->local),
				settings->port + index);
	address.sin_addr = settings->target;
	if (connect(descriptor, (struct sockaddr *)&address, sizeof(address)) != 0)
		return error_os(error, "cannot reach %s", inet_ntoa(settings->target));
	if (epoll_ctl(link->poll, EPOLL_CTL_ADD, descriptor, &event) != 0)
		return error_os(error, "epoll_ctl");
	return KIOKU_OK;
}

enum kioku_status nettlp_link_open(const struct nettlp_settings *settings, struct nettlp_link **out,
				   struct kioku_error *error)
{
	CLEANUP(cleanup_nettlp_link) struct nettlp_link *link = calloc(1, sizeof(*link));

	*out = NULL;
	if (!link)
		return error_no_memory(error);
	link->settings = *settings;
	memset(link->sockets, -1, sizeof(link->sockets));
	link->socket_count =
		settings->port == NETTLP_HOST_PORT && settings->tags > 16 ? 16 : settings->tags;
	link->poll = epoll_create1(EPOLL_CLOEXEC);
	if (link->poll < 0)
		return error_os(error, "epoll_create");
	link->tags = calloc(settings->tags, sizeof(*link->tags));
	if (!link->tags)
		return error_no_memory(error);
	for (unsigned i = 0; i < link->socket_count; i++)
		TRY(open_socket(link, i, error));
	for (unsigned i = 0; i < settings->tags; i++)
		link->order[i] = (uint8_t)i;
	link->free_count = settings->tags;
	look_at_clock(link);
	*out = TAKE(link);
	return KIOKU_OK;
}

void nettlp_link_close(struct nettlp_link *link)
{
	if (!link)
		return;
	for (unsigned i = 0; i < NETTLP_TAG_LIMIT; i++)
		cleanup_close(&link->sockets[i]);
	cleanup_close(&link->poll);
	free(link->tags);
	free(link->again);
	free(link);
}

/* --- asking */

static bool has_clock(const struct nettlp_link *link)
{
	return link->rising >= CLOCK_SURE;
}

static uint64_t wait_for(const struct nettlp_link *link, unsigned attempts)
{
	uint64_t longest = link->settings.timeout * MILLISECOND;
	uint64_t wait = link->rtt ? link->rtt + 4 * link->rtt_spread : longest;

	wait = wait < SHORTEST_WAIT ? SHORTEST_WAIT : wait;
	wait <<= attempts < 16 ? attempts : 16;
	return wait < longest ? wait : longest;
}

static void send_request(struct nettlp_link *link, unsigned tag, const struct piece *piece,
			 const struct nettlp_ask *ask)
{
	struct request *request = &link->requests[tag];
	uint8_t datagram[NETTLP_HEADER_SIZE + TLP_READ_SIZE_MAX];
	const struct nettlp_header header = { 0 };
	const struct tlp_read read = { .address = ask->address,
				       .size = ask->size,
				       .requester = link->settings.requester,
				       .tag = (uint8_t)tag };

	nettlp_header_encode(&header, datagram);
	size_t size = NETTLP_HEADER_SIZE + tlp_read_encode(&read, datagram + NETTLP_HEADER_SIZE);
	*request = (struct request){
		.late = request->late,
		.is_waiting = true,
		.is_loose = link->is_loose,
		.piece = *piece,
		.ask = *ask,
		.sent = link->now,
		.deadline = link->now + wait_for(link, piece->attempts),
		.missing = ask->size,
		.has_floor = has_clock(link) && link->now - link->stamped < CLOCK_STALE &&
			     piece->attempts < DOUBTS,
		.floor = link->newest,
	};
	if (request->piece.since == 0)
		request->piece.since = link->now;
	if (request->deadline < link->next_deadline)
		link->next_deadline = request->deadline;
	nettlp_tag_use(&link->tags[tag], ask, link->now);
	link->counts.requests++;
	/* What cannot be sent now is as good as lost: it will be sent again. */
	if (send(link->sockets[tag % link->socket_count], datagram, size, 0) < 0 &&
	    errno == ECONNREFUSED)
		link->is_refused = true;
}

/* Which free tag may ask for most of a piece, by its place in the order, and for what. */
static bool choose_tag(const struct nettlp_link *link, const struct nettlp_ask *wanted,
		       uint32_t limit, unsigned *place, struct nettlp_ask *out)
{
	uint64_t best = wanted->address, end = wanted->address + wanted->size;

	for (unsigned i = 0; i < link->free_count && best < end; i++) {
		unsigned tag = link->order[(link->free_first + i) % NETTLP_TAG_LIMIT];
		struct nettlp_ask ask =
			nettlp_tag_fit(&link->tags[tag], wanted, limit, link->now, link->is_loose);
		if (ask.size == 0 || ask.address + ask.size <= best)
			continue;
		*place = i;
		*out = ask;
		best = ask.address + ask.size;
	}
	return best > wanted->address;
}

/* The tags that are passed over stay in front. */
static unsigned take_tag(struct nettlp_link *link, unsigned place)
{
	unsigned at = (link->free_first + place) % NETTLP_TAG_LIMIT, tag = link->order[at];

	for (; at != link->free_first; at = (at + NETTLP_TAG_LIMIT - 1) % NETTLP_TAG_LIMIT)
		link->order[at] = link->order[(at + NETTLP_TAG_LIMIT - 1) % NETTLP_TAG_LIMIT];
	link->free_first = (link->free_first + 1) % NETTLP_TAG_LIMIT;
	link->free_count--;
	return tag;
}

/* Sends the start of a piece with some free tag, and takes it off the piece. */
static bool send_some(struct nettlp_link *link, struct piece *piece)
{
	uint64_t in_page = TLP_DATA_MAX - piece->physical % TLP_DATA_MAX;
	uint32_t limit = link->settings.read_size;
	uint64_t most = in_page < limit ? in_page : limit;
	const struct nettlp_ask wanted = { piece->physical,
					   piece->size < most ? piece->size : (uint32_t)most };
	struct piece part = *piece;
	struct nettlp_ask ask;
	unsigned place = 0;

	if (!choose_tag(link, &wanted, limit, &place, &ask))
		return false;
	uint64_t end = ask.address + ask.size;
	part.size = end - piece->physical < wanted.size ? (uint32_t)(end - piece->physical)
							: wanted.size;
	send_request(link, take_tag(link, place), &part, &ask);
	piece->physical += part.size;
	piece->size -= part.size;
	return true;
}

static void free_tag(struct nettlp_link *link, unsigned tag)
{
	link->requests[tag].is_waiting = false;
	link->order[(link->free_first + link->free_count++) % NETTLP_TAG_LIMIT] = (uint8_t)tag;
}

/* --- one batch */

struct batch {
	struct remote_read *reads;
	size_t count;
	size_t next;   /* read that is asked for next */
	size_t offset; /* bytes of it that were */
	/* The read behind the last: of what was answered before, to see whether anything still is. */
	struct remote_read probe;
	uint8_t probed[4];
	bool is_probing;
};

static struct remote_read *read_of(struct batch *batch, const struct piece *piece)
{
	return piece->read < batch->count ? &batch->reads[piece->read] : &batch->probe;
}

static void fail(struct batch *batch, const struct piece *piece, enum kioku_status status,
		 const char *problem)
{
	struct remote_read *read = read_of(batch, piece);

	if (read->status != KIOKU_OK && read->failed_at <= piece->physical)
		return;
	read->status = status;
	read->failed_at = piece->physical;
	read->problem = problem;
}

/* What was not answered before comes first. False: there is nothing to ask for, or no tag. */
static bool send_next(struct nettlp_link *link, struct batch *batch)
{
	while (link->again_count > 0) {
		struct piece *piece = &link->again[link->again_count - 1];
		if (read_of(batch, piece)->status == KIOKU_OK && piece->size > 0)
			return send_some(link, piece);
		link->again_count--;
	}
	while (batch->next < batch->count) {
		struct remote_read *read = &batch->reads[batch->next];
		if (read->status != KIOKU_OK || batch->offset == read->size) {
			batch->next++;
			batch->offset = 0;
			continue;
		}
		size_t left = read->size - batch->offset;
		struct piece piece = { .read = batch->next,
				       .physical = read->physical + batch->offset,
				       .size = left < TLP_DATA_MAX ? (uint32_t)left
								   : TLP_DATA_MAX };
		uint32_t before = piece.size;
		if (!send_some(link, &piece))
			return false;
		batch->offset += before - piece.size;
		return true;
	}
	return false;
}

/* --- answers */

static void learn_time(struct nettlp_link *link, uint64_t rtt)
{
	if (!link->rtt) {
		link->rtt = rtt;
		link->rtt_spread = rtt / 2;
		return;
	}
	uint64_t difference = rtt > link->rtt ? rtt - link->rtt : link->rtt - rtt;
	link->rtt_spread += difference / 4 - link->rtt_spread / 4;
	link->rtt += rtt / 8 - link->rtt / 8;
}

/* An answer that came too late tells that others will, too: of a busy machine, or a far one. */
static void learn_late(struct nettlp_link *link, struct request *request)
{
	uint64_t limit = 4 * wait_for(link, 0);

	if (request->late)
		learn_time(link,
			   link->now - request->late < limit ? link->now - request->late : limit);
	request->late = 0;
}

/* A clock is believed once it was seen to run, until it alone kept an answer from being taken. */
static void learn_stamp(struct nettlp_link *link, const struct request *request, uint32_t stamp)
{
	bool is_wrong = request->piece.attempts >= DOUBTS && (int32_t)(stamp - request->floor) <= 0;

	if (is_wrong || (stamp == 0 && !has_clock(link))) {
		link->rising = 0;
	} else if ((int32_t)(stamp - link->newest) > 0 || link->rising == 0) {
		link->newest = stamp;
		link->stamped = link->now;
		link->rising += link->rising < CLOCK_SURE;
	}
}

/* Whether a completion may be of the request that its tag now has. */
static bool is_timely(const struct request *request, uint32_t stamp)
{
	return !request->has_floor || (int32_t)(stamp - request->floor) > 0;
}

/*
 * Whether data are what the request asked for, or a part of it; then *start and *size say which. Parts
 * begin and end where completions may be split (section 2.3.1.1), unless the target is seen not to care;
 * then it is believed from the next request on.
 */
static bool is_part(struct nettlp_link *link, const struct request *request,
		    const struct tlp_completion *completion, uint64_t *start, uint32_t *size)
{
	const struct nettlp_ask *ask = &request->ask;
	uint32_t offset = ask->size - completion->remaining;

	*start = ask->address + offset;
	if (completion->remaining > ask->size || completion->data.size > link->settings.data_size ||
	    (*start & 0x7f) != completion->lower_address || (offset > 0 && *start % 4 != 0))
		return false;
	uint32_t skipped = *start & 3;
	*size = (uint32_t)completion->data.size - skipped;
	*size = *size < completion->remaining ? *size : completion->remaining;
	if (completion->data.size != ((skipped + *size + 3) & ~3u))
		return false;
	bool is_split =
		(offset > 0 && *start % TLP_COMPLETION_BOUNDARY != 0) ||
		(*size < completion->remaining && (*start + *size) % TLP_COMPLETION_BOUNDARY != 0);
	if (!is_split || request->is_loose)
		return true;
	link->is_loose = true;
	return false;
}

/* Of the words of a request, those from start on; false if some of them came before. */
static bool note_words(struct request *request, uint64_t start, uint32_t size)
{
	uint64_t base = request->ask.address / 4;
	uint64_t first = start / 4 - base, last = (start + size - 1) / 4 - base;

	for (uint64_t i = first / 64; i <= last / 64; i++) {
		uint64_t from = i == first / 64 ? first % 64 : 0,
			 to = i == last / 64 ? last % 64 : 63;
		uint64_t mask = ~0ull >> (63 - (to - from)) << from;
		if (request->came[i] & mask)
			return false;
		request->came[i] |= mask;
	}
	return true;
}

/* Puts data where they belong; false if they are not what was asked for. */
static bool take_data(struct nettlp_link *link, struct batch *batch, struct request *request,
		      const struct tlp_completion *completion)
{
	const struct piece *piece = &request->piece;
	uint64_t start;
	uint32_t size;

	if (!is_part(link, request, completion, &start, &size) || !note_words(request, start, size))
		return false;
	struct remote_read *read = read_of(batch, piece);
	uint64_t end = start + size, piece_end = piece->physical + piece->size;
	uint64_t from = start > piece->physical ? start : piece->physical;
	uint64_t to = end < piece_end ? end : piece_end;
	if (from < to)
		memcpy(read->buffer + (from - read->physical),
		       completion->data.data + (from - (start & ~3ull)), to - from);
	request->missing -= size;
	link->counts.bytes += size;
	return true;
}

/* What stands for data: that there are none. Only a tag that nothing else can answer to tells. */
static bool take_refusal(struct nettlp_link *link, struct batch *batch, unsigned tag,
			 const struct tlp_completion *completion)
{
	struct request *request = &link->requests[tag];
	const struct piece *piece = &request->piece;
	bool is_exact = completion->remaining == request->ask.size &&
			completion->lower_address == (request->ask.address & 0x7f);

	if (!is_exact && !request->has_floor && !nettlp_tag_is_clean(&link->tags[tag], link->now))
		return false;
	switch (completion->status) {
	case TLP_UNSUPPORTED_REQUEST:
		fail(batch, piece, KIOKU_ERROR_ABSENT, "it answers Unsupported Request");
		break;
	case TLP_COMPLETER_ABORT:
		fail(batch, piece, KIOKU_ERROR_ABSENT, "it answers Completer Abort");
		break;
	case TLP_SUCCESSFUL: fail(batch, piece, KIOKU_ERROR_ABSENT, "its data are poisoned"); break;
	default:
		fail(batch, piece, KIOKU_ERROR_ABSENT,
		     "it answers with a status of no memory read");
	}
	link->counts.refused++;
	request->missing = 0;
	return true;
}

static bool take_completion(struct nettlp_link *link, struct batch *batch,
			    const struct tlp_completion *completion)
{
	struct request *request = &link->requests[completion->tag];
	bool has_data = completion->status == TLP_SUCCESSFUL && completion->data.size > 0;

	if (completion->status == TLP_SUCCESSFUL && !has_data)
		return false;
	if (!has_data || completion->is_poisoned)
		return take_refusal(link, batch, completion->tag, completion);
	if (!take_data(link, batch, request, completion))
		return false;
	if (request->missing == 0) {
		link->counts.answered++;
		link->knows_good = true;
		link->good_address = request->piece.physical & ~3ull;
	}
	return true;
}

static bool take_answer(struct nettlp_link *link, struct batch *batch, unsigned socket,
			struct bytes datagram)
{
	struct tlp_completion completion;
	struct nettlp_header header;
	struct bytes tlp;

	if (!nettlp_header_decode(datagram, &header, &tlp) ||
	    tlp_completion_decode(tlp, &completion) != NULL ||
	    completion.requester != link->settings.requester ||
	    completion.tag >= link->settings.tags || completion.tag % link->socket_count != socket)
		return false;
	struct request *request = &link->requests[completion.tag];
	bool is_good = request->is_waiting && is_timely(request, header.timestamp) &&
		       take_completion(link, batch, &completion);
	if (!is_good) {
		learn_late(link, request);
		return false;
	}
	learn_stamp(link, request, header.timestamp);
	link->heard = link->now;
	if (request->missing > 0)
		return true;
	learn_time(link, link->now - request->sent);
	if (request->sent > link->answered_sent)
		link->answered_sent = request->sent;
	free_tag(link, completion.tag);
	return true;
}

static void receive(struct nettlp_link *link, struct batch *batch, unsigned socket)
{
	uint8_t datagram[NETTLP_HEADER_SIZE + TLP_COMPLETION_SIZE + TLP_DATA_MAX + 8];

	for (;;) {
		ssize_t got = recv(link->sockets[socket], datagram, sizeof(datagram), MSG_TRUNC);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			link->is_refused |= errno == ECONNREFUSED;
			return;
		}
		struct bytes whole = { datagram, (size_t)got };
		if (whole.size > sizeof(datagram) || !take_answer(link, batch, socket, whole))
			link->counts.strange++;
	}
}

/* --- no answers */

static bool push_again(struct nettlp_link *link, const struct piece *piece)
{
	if (link->again_count == link->again_capacity) {
		size_t capacity = link->again_capacity ? 2 * link->again_capacity : 64;
		struct piece *again = reallocarray(link->again, capacity, sizeof(*again));
		if (!again)
			return false;
		link->again = again;
		link->again_capacity = capacity;
	}
	link->again[link->again_count++] = *piece;
	return true;
}

/* Whether it is the target that is silent, or only what is wanted of it. */
static bool probe(struct nettlp_link *link, struct batch *batch)
{
	const struct piece piece = { .read = batch->count,
				     .physical = link->good_address,
				     .size = sizeof(batch->probed) };

	if (batch->is_probing || !link->knows_good)
		return true;
	batch->is_probing = true;
	batch->probe =
		(struct remote_read){ .physical = link->good_address, .buffer = batch->probed };
	return push_again(link, &piece);
}

/* Of a target that answers others, a read that it does not answer is lost. */
static void give_up_or_repeat(struct nettlp_link *link, struct batch *batch, unsigned tag)
{
	struct request *request = &link->requests[tag];
	struct piece piece = request->piece;
	uint64_t patience = PATIENCE * link->settings.timeout * MILLISECOND;

	nettlp_tag_quarantine(&link->tags[tag], &request->ask,
			      link->now + link->settings.quarantine * MILLISECOND);
	free_tag(link, tag);
	request->late = request->sent;
	link->counts.repeated++;
	piece.attempts++;
	bool is_hopeless = piece.attempts >= ATTEMPTS && link->now - piece.since > patience;
	if (piece.read == batch->count)
		batch->is_probing = false;
	else if (is_hopeless && link->heard > piece.since)
		fail(batch, &piece, KIOKU_ERROR_ABSENT, "it is not answered");
	else if (!push_again(link, &piece) || (is_hopeless && !probe(link, batch)))
		fail(batch, &piece, KIOKU_ERROR_NO_MEMORY, "out of memory");
}

/*
 * Requests that are overdue, or that others overtook which were sent later: what they asked for, or their
 * answer, is lost (RFC 8985 has the idea).
 */
static void expire(struct nettlp_link *link, struct batch *batch)
{
	uint64_t window = OVERTAKEN + 4 * link->rtt_spread;

	link->next_deadline = UINT64_MAX;
	for (unsigned tag = 0; tag < link->settings.tags; tag++) {
		struct request *request = &link->requests[tag];
		if (!request->is_waiting)
			continue;
		if (request->deadline <= link->now || request->sent + window < link->answered_sent)
			give_up_or_repeat(link, batch, tag);
		else if (request->deadline < link->next_deadline)
			link->next_deadline = request->deadline;
	}
}

static void check_silence(struct nettlp_link *link)
{
	bool has_answered = link->counts.answered + link->counts.refused > 0;
	uint64_t limit = has_answered ? SILENCE : FIRST_SILENCE;

	if (link->now - link->heard > limit || (link->is_refused && !has_answered))
		link->is_broken = true;
}

/* --- all of it */

static bool is_waiting(const struct nettlp_link *link)
{
	return link->free_count < link->settings.tags;
}

/* Where nothing is under way, all that may be asked for is in quarantine: that has to pass. */
static void wait_for_answers(struct nettlp_link *link, struct batch *batch)
{
	struct epoll_event events[EVENTS];
	uint64_t deadline = is_waiting(link) ? link->next_deadline : link->now + MILLISECOND;
	uint64_t left = deadline > link->now ? deadline - link->now : 0;
	int wait = left > SECOND ? 1000 : (int)((left + MILLISECOND - 1) / MILLISECOND);
	int count = epoll_wait(link->poll, events, EVENTS, wait);

	look_at_clock(link);
	for (int i = 0; i < count; i++)
		receive(link, batch, events[i].data.u32);
}

/* Answers to what nobody wants any more may still come. */
static void abandon(struct nettlp_link *link, struct batch *batch, const char *problem)
{
	for (unsigned tag = 0; tag < link->settings.tags; tag++) {
		if (!link->requests[tag].is_waiting)
			continue;
		nettlp_tag_quarantine(&link->tags[tag], &link->requests[tag].ask,
				      link->now + link->settings.quarantine * MILLISECOND);
		free_tag(link, tag);
	}
	for (size_t i = 0; i < batch->count; i++)
		if (batch->reads[i].status == KIOKU_OK)
			fail(batch,
			     &(struct piece){ .read = i, .physical = batch->reads[i].physical },
			     KIOKU_ERROR_OS, problem);
}

void nettlp_link_read(struct nettlp_link *link, struct remote_read *reads, size_t count)
{
	struct batch batch = { .reads = reads, .count = count };

	for (size_t i = 0; i < count; i++)
		reads[i].status = KIOKU_OK;
	look_at_clock(link);
	/* Nothing could be heard while nothing was asked. */
	link->heard = link->now;
	link->next_deadline = UINT64_MAX;
	link->again_count = 0;
	link->counts.rounds++;
	while (!link->is_broken) {
		while (send_next(link, &batch))
			;
		if (!is_waiting(link) && batch.next == batch.count && link->again_count == 0)
			return;
		wait_for_answers(link, &batch);
		expire(link, &batch);
		check_silence(link);
	}
	abandon(link, &batch, link->is_refused ? "nobody listens there" : "it does not answer");
}
