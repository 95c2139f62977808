/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/growing.h"
#include "format/nettlp_format.h"
#include "source/nettlp_requester.h"
#include "source/nettlp_tag.h"

#define MILLISECOND   1000000ull
#define SECOND        (1000 * MILLISECOND)
#define SHORTEST_WAIT (2 * MILLISECOND)  /* of what is busy elsewhere, too */
#define OVERTAKEN     (MILLISECOND / 2)  /* by so much, answers may come in another order */
#define ATTEMPTS      8u                 /* at one read, while the target answers others */
#define PATIENCE      4u                 /* and so many timeouts */
#define SILENCE       (30 * SECOND)      /* of a target that had answered, until it is given up */
#define FIRST_SILENCE (3 * SECOND)       /* of one that never has */
#define CLOCK_SURE    8u                 /* stamps in a row that rise, until they are a clock's */
#define CLOCK_STALE   (5 * SECOND)       /* without an answer: the clock may have wrapped around */
#define DOUBTS        3u                 /* attempts, until it may be the clock that is wrong */
#define WORDS         (TLP_DATA_MAX / 4) /* of a request */

/* A stretch of a read that is still to be asked for. */
struct piece {
	size_t read; /* index */
	uint64_t physical;
	uint32_t size;
	unsigned attempts;
	unsigned ignored; /* attempts, after which what was asked for later was answered */
	uint64_t since;   /* when it was asked for at first; 0: never */
	uint64_t counted; /* when the last of those attempts was given up; at first: since */
};

/* A request that is under way, by its tag. */
struct request {
	bool is_waiting;
	struct piece piece;    /* what is wanted of it */
	struct nettlp_ask ask; /* what it asks for */
	bool is_loose;         /* as of the link, when it was sent */
	bool is_alone;         /* no other request can be answered like it */
	uint64_t sent, deadline;
	uint32_t missing;          /* bytes */
	uint64_t came[WORDS / 64]; /* which of its words of 4 bytes */
	bool has_floor;
	uint32_t floor; /* completions of this request are stamped later than that */
	uint64_t late; /* when the request before it that was given up was sent; 0: there is none */
};

struct nettlp_requester {
	struct nettlp_settings settings;
	struct request requests[NETTLP_TAG_LIMIT];
	struct nettlp_tag *tags;
	uint8_t order[NETTLP_TAG_LIMIT]; /* free tags, the one that was free for longest first */
	unsigned free_first, free_count;
	struct piece *again; /* a stack of what was not answered in time */
	size_t again_count, again_capacity;

	/* The batch. */
	struct remote_read *reads;
	size_t count;
	size_t next;   /* read that is asked for next */
	size_t offset; /* bytes of it that were */
	/* The read behind the last: of what was answered before, to see whether anything still is. */
	struct remote_read probe;
	uint8_t probed[4];
	struct piece probing;
	bool is_probing;
	bool stands_still; /* one thing at a time is asked for, until any is answered */

	uint64_t now;             /* of a clock that never goes back, in nanoseconds */
	uint64_t heard;           /* when the last good answer of this batch came, or it began */
	uint64_t next_deadline;   /* no request is overdue before */
	uint64_t looked;          /* when it was last looked for what is lost */
	uint64_t answered_sent;   /* when the last one was sent of those that were answered */
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

/* --- asking */

static bool has_clock(const struct nettlp_requester *requester)
{
	return requester->rising >= CLOCK_SURE;
}

static bool is_waiting(const struct nettlp_requester *requester)
{
	return requester->free_count < requester->settings.tags;
}

static uint64_t wait_for(const struct nettlp_requester *requester, unsigned attempts)
{
	uint64_t longest = requester->settings.timeout * MILLISECOND;
	uint64_t wait = requester->rtt ? requester->rtt + 4 * requester->rtt_spread : longest;

	wait = wait < SHORTEST_WAIT ? SHORTEST_WAIT : wait;
	wait <<= attempts < 16 ? attempts : 16;
	return wait < longest ? wait : longest;
}

static void make_request(struct nettlp_requester *requester, unsigned tag,
			 const struct piece *piece, const struct nettlp_ask *ask,
			 struct nettlp_datagram *out)
{
	struct request *request = &requester->requests[tag];
	const struct nettlp_header header = { 0 };
	const struct tlp_read read = { .address = ask->address,
				       .size = ask->size,
				       .requester = requester->settings.requester,
				       .tag = (uint8_t)tag };

	nettlp_header_encode(&header, out->data);
	out->size = NETTLP_HEADER_SIZE + tlp_read_encode(&read, out->data + NETTLP_HEADER_SIZE);
	out->socket = tag % requester->settings.sockets;
	*request = (struct request){
		.late = request->late,
		.is_waiting = true,
		.is_loose = requester->is_loose,
		.is_alone = nettlp_tag_is_new(&requester->tags[tag], ask),
		.piece = *piece,
		.ask = *ask,
		.sent = requester->now,
		.deadline = requester->now + wait_for(requester, piece->attempts),
		.missing = ask->size,
		.has_floor = has_clock(requester) &&
			     requester->now - requester->stamped < CLOCK_STALE &&
			     piece->attempts < DOUBTS,
		.floor = requester->newest,
	};
	if (request->piece.since == 0)
		request->piece.since = request->piece.counted = requester->now;
	if (request->deadline < requester->next_deadline)
		requester->next_deadline = request->deadline;
	nettlp_tag_use(&requester->tags[tag], ask, requester->now);
	requester->counts.requests++;
}

/* Which free tag may ask for most of a piece, by its place in the order, and for what. */
static bool choose_tag(const struct nettlp_requester *requester, const struct nettlp_ask *wanted,
		       uint32_t limit, unsigned *place, struct nettlp_ask *out)
{
	uint64_t best = wanted->address, end = wanted->address + wanted->size;

	for (unsigned i = 0; i < requester->free_count && best < end; i++) {
		unsigned tag = requester->order[(requester->free_first + i) % NETTLP_TAG_LIMIT];
		struct nettlp_ask ask = nettlp_tag_fit(&requester->tags[tag], wanted, limit,
						       requester->now, requester->is_loose);
		if (ask.size == 0 || ask.address + ask.size <= best)
			continue;
		*place = i;
		*out = ask;
		best = ask.address + ask.size;
	}
	return best > wanted->address;
}

/* The tags that are passed over stay in front. */
static unsigned take_tag(struct nettlp_requester *requester, unsigned place)
{
	unsigned at = (requester->free_first + place) % NETTLP_TAG_LIMIT,
		 tag = requester->order[at];

	for (; at != requester->free_first; at = (at + NETTLP_TAG_LIMIT - 1) % NETTLP_TAG_LIMIT)
		requester->order[at] =
			requester->order[(at + NETTLP_TAG_LIMIT - 1) % NETTLP_TAG_LIMIT];
	requester->free_first = (requester->free_first + 1) % NETTLP_TAG_LIMIT;
	requester->free_count--;
	return tag;
}

/* Asks for the start of a piece with some free tag, and takes it off the piece. */
static bool ask_some(struct nettlp_requester *requester, struct piece *piece,
		     struct nettlp_datagram *out)
{
	uint64_t in_page = TLP_DATA_MAX - piece->physical % TLP_DATA_MAX;
	uint32_t limit = requester->settings.read_size;
	uint64_t most = in_page < limit ? in_page : limit;
	const struct nettlp_ask wanted = { piece->physical,
					   piece->size < most ? piece->size : (uint32_t)most };
	struct piece part = *piece;
	struct nettlp_ask ask;
	unsigned place = 0;

	if (!choose_tag(requester, &wanted, limit, &place, &ask))
		return false;
	uint64_t end = ask.address + ask.size;
	part.size = end - piece->physical < wanted.size ? (uint32_t)(end - piece->physical)
							: wanted.size;
	make_request(requester, take_tag(requester, place), &part, &ask, out);
	piece->physical += part.size;
	piece->size -= part.size;
	return true;
}

static void free_tag(struct nettlp_requester *requester, unsigned tag)
{
	requester->requests[tag].is_waiting = false;
	requester->order[(requester->free_first + requester->free_count++) % NETTLP_TAG_LIMIT] =
		(uint8_t)tag;
}

/* --- one batch */

static struct remote_read *read_of(struct nettlp_requester *requester, const struct piece *piece)
{
	return piece->read < requester->count ? &requester->reads[piece->read] : &requester->probe;
}

static void fail(struct nettlp_requester *requester, const struct piece *piece,
		 enum kioku_status status, const char *problem)
{
	struct remote_read *read = read_of(requester, piece);

	if (read->status != KIOKU_OK && read->failed_at <= piece->physical)
		return;
	read->status = status;
	read->failed_at = piece->physical;
	read->problem = problem;
}

/* What was not answered before comes first. */
bool nettlp_requester_next(struct nettlp_requester *requester, struct nettlp_datagram *out)
{
	if (requester->stands_still && is_waiting(requester))
		return false;
	if (requester->probing.size > 0 && ask_some(requester, &requester->probing, out))
		return true;
	while (requester->again_count > 0) {
		struct piece *piece = &requester->again[requester->again_count - 1];
		if (read_of(requester, piece)->status == KIOKU_OK && piece->size > 0)
			return ask_some(requester, piece, out);
		requester->again_count--;
	}
	while (requester->next < requester->count) {
		struct remote_read *read = &requester->reads[requester->next];
		if (read->status != KIOKU_OK || requester->offset == read->size) {
			requester->next++;
			requester->offset = 0;
			continue;
		}
		size_t left = read->size - requester->offset;
		struct piece piece = { .read = requester->next,
				       .physical = read->physical + requester->offset,
				       .size = left < TLP_DATA_MAX ? (uint32_t)left
								   : TLP_DATA_MAX };
		uint32_t before = piece.size;
		if (!ask_some(requester, &piece, out))
			return false;
		requester->offset += before - piece.size;
		return true;
	}
	return false;
}

/* --- answers */

static void learn_time(struct nettlp_requester *requester, uint64_t rtt)
{
	if (!requester->rtt) {
		requester->rtt = rtt;
		requester->rtt_spread = rtt / 2;
		return;
	}
	uint64_t difference = rtt > requester->rtt ? rtt - requester->rtt : requester->rtt - rtt;
	requester->rtt_spread += difference / 4 - requester->rtt_spread / 4;
	requester->rtt += rtt / 8 - requester->rtt / 8;
}

/* An answer that came too late tells that others will, too: of a busy machine, or a far one. */
static void learn_late(struct nettlp_requester *requester, struct request *request)
{
	uint64_t limit = 4 * wait_for(requester, 0);

	if (request->late)
		learn_time(requester, requester->now - request->late < limit
					      ? requester->now - request->late
					      : limit);
	request->late = 0;
}

/* A clock is believed once it was seen to run, until it alone kept an answer from being taken. */
static void learn_stamp(struct nettlp_requester *requester, const struct request *request,
			uint32_t stamp)
{
	bool is_wrong = request->piece.attempts >= DOUBTS && (int32_t)(stamp - request->floor) <= 0;

	if (is_wrong || (stamp == 0 && !has_clock(requester))) {
		requester->rising = 0;
	} else if ((int32_t)(stamp - requester->newest) > 0 || requester->rising == 0) {
		requester->newest = stamp;
		requester->stamped = requester->now;
		requester->rising += requester->rising < CLOCK_SURE;
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
static bool is_part(struct nettlp_requester *requester, const struct request *request,
		    const struct tlp_completion *completion, uint64_t *start, uint32_t *size)
{
	const struct nettlp_ask *ask = &request->ask;
	uint32_t offset = ask->size - completion->remaining;

	*start = ask->address + offset;
	if (completion->remaining > ask->size ||
	    completion->data.size > requester->settings.data_size ||
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
	requester->is_loose |= request->is_alone;
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
static bool take_data(struct nettlp_requester *requester, struct request *request,
		      const struct tlp_completion *completion)
{
	const struct piece *piece = &request->piece;
	uint64_t start;
	uint32_t size;

	if (!is_part(requester, request, completion, &start, &size) ||
	    !note_words(request, start, size))
		return false;
	struct remote_read *read = read_of(requester, piece);
	uint64_t end = start + size, piece_end = piece->physical + piece->size;
	uint64_t from = start > piece->physical ? start : piece->physical;
	uint64_t to = end < piece_end ? end : piece_end;
	if (from < to)
		memcpy(read->buffer + (from - read->physical),
		       completion->data.data + (from - (start & ~3ull)), to - from);
	request->missing -= size;
	requester->counts.bytes += size;
	return true;
}

/* What stands for data: that there are none. Only a tag that nothing else can answer to tells. */
static bool take_refusal(struct nettlp_requester *requester, unsigned tag,
			 const struct tlp_completion *completion)
{
	struct request *request = &requester->requests[tag];
	const struct piece *piece = &request->piece;
	bool is_exact = completion->remaining == request->ask.size &&
			completion->lower_address == (request->ask.address & 0x7f);

	if (!is_exact && !request->has_floor &&
	    !nettlp_tag_is_clean(&requester->tags[tag], requester->now))
		return false;
	switch (completion->status) {
	case TLP_UNSUPPORTED_REQUEST:
		fail(requester, piece, KIOKU_ERROR_ABSENT, "it answers Unsupported Request");
		break;
	case TLP_COMPLETER_ABORT:
		fail(requester, piece, KIOKU_ERROR_ABSENT, "it answers Completer Abort");
		break;
	case TLP_SUCCESSFUL:
		fail(requester, piece, KIOKU_ERROR_ABSENT, "its data are poisoned");
		break;
	default:
		fail(requester, piece, KIOKU_ERROR_ABSENT,
		     "it answers with a status of no memory read");
	}
	requester->counts.refused++;
	request->missing = 0;
	return true;
}

static bool take_completion(struct nettlp_requester *requester,
			    const struct tlp_completion *completion)
{
	struct request *request = &requester->requests[completion->tag];
	bool has_data = completion->status == TLP_SUCCESSFUL && completion->data.size > 0;

	if (completion->status == TLP_SUCCESSFUL && !has_data)
		return false;
	if (!has_data || completion->is_poisoned)
		return take_refusal(requester, completion->tag, completion);
	if (!take_data(requester, request, completion))
		return false;
	if (request->missing == 0) {
		requester->counts.answered++;
		requester->knows_good = true;
		requester->good_address = request->piece.physical & ~3ull;
	}
	return true;
}

static bool take_answer(struct nettlp_requester *requester, unsigned socket, struct bytes datagram)
{
	struct tlp_completion completion;
	struct nettlp_header header;
	struct bytes tlp;

	if (!nettlp_header_decode(datagram, &header, &tlp) ||
	    tlp_completion_decode(tlp, &completion) != NULL ||
	    completion.requester != requester->settings.requester ||
	    completion.tag >= requester->settings.tags ||
	    completion.tag % requester->settings.sockets != socket)
		return false;
	struct request *request = &requester->requests[completion.tag];
	bool is_good = request->is_waiting && is_timely(request, header.timestamp) &&
		       take_completion(requester, &completion);
	if (!is_good) {
		learn_late(requester, request);
		return false;
	}
	learn_stamp(requester, request, header.timestamp);
	requester->heard = requester->now;
	requester->stands_still = false;
	if (request->missing > 0)
		return true;
	learn_time(requester, requester->now - request->sent);
	if (request->sent > requester->answered_sent)
		requester->answered_sent = request->sent;
	if (request->piece.read == requester->count)
		requester->is_probing = false;
	free_tag(requester, completion.tag);
	return true;
}

void nettlp_requester_take(struct nettlp_requester *requester, unsigned socket,
			   struct bytes datagram, uint64_t now)
{
	requester->now = now;
	if (!take_answer(requester, socket, datagram))
		requester->counts.strange++;
}

void nettlp_requester_refused(struct nettlp_requester *requester)
{
	requester->is_refused = true;
}

/* --- no answers */

static bool push_again(struct nettlp_requester *requester, const struct piece *piece)
{
	if (!GROW(requester->again, requester->again_count, requester->again_capacity))
		return false;
	requester->again[requester->again_count++] = *piece;
	return true;
}

/* Whether it is the target that is silent, or only what is wanted of it. */
static void probe(struct nettlp_requester *requester, unsigned attempts)
{
	if (requester->is_probing || !requester->knows_good)
		return;
	requester->is_probing = true;
	requester->probe = (struct remote_read){ .physical = requester->good_address,
						 .buffer = requester->probed };
	requester->probing = (struct piece){ .read = requester->count,
					     .physical = requester->good_address,
					     .size = sizeof(requester->probed),
					     .attempts = attempts };
}

/*
 * Of a target that answers others, a read that it does not answer is lost. One that stands still, as a
 * busy machine does, ignores nothing; what it is asked meanwhile would only keep it busy for longer.
 */
static void give_up_or_repeat(struct nettlp_requester *requester, unsigned tag)
{
	struct request *request = &requester->requests[tag];
	struct piece piece = request->piece;
	uint64_t patience = PATIENCE * requester->settings.timeout * MILLISECOND;

	nettlp_tag_quarantine(&requester->tags[tag], &request->ask,
			      requester->now + requester->settings.quarantine * MILLISECOND);
	free_tag(requester, tag);
	request->late = request->sent;
	requester->counts.repeated++;
	piece.attempts++;
	if (requester->answered_sent >= piece.counted) {
		piece.ignored++;
		piece.counted = requester->now;
	} else if (requester->knows_good) {
		requester->stands_still = true;
	}
	if (piece.read == requester->count) {
		requester->is_probing = false;
		return;
	}
	if (piece.ignored >= ATTEMPTS && requester->now - piece.since > patience)
		fail(requester, &piece, KIOKU_ERROR_ABSENT, "it is not answered");
	else if (!push_again(requester, &piece))
		fail(requester, &piece, KIOKU_ERROR_NO_MEMORY, "out of memory");
	probe(requester, piece.attempts);
}

/*
 * Requests that are overdue, or that others overtook which were sent later: what they asked for, or their
 * answer, is lost (RFC 8985 has the idea).
 */
static void expire(struct nettlp_requester *requester)
{
	uint64_t window = OVERTAKEN + 4 * requester->rtt_spread;

	/* Not after every answer: it looks at every tag. */
	if (requester->now < requester->next_deadline &&
	    requester->now - requester->looked < OVERTAKEN / 2)
		return;
	requester->looked = requester->now;
	requester->next_deadline = UINT64_MAX;
	for (unsigned tag = 0; tag < requester->settings.tags; tag++) {
		struct request *request = &requester->requests[tag];
		if (!request->is_waiting)
			continue;
		if (request->deadline <= requester->now ||
		    request->sent + window < requester->answered_sent)
			give_up_or_repeat(requester, tag);
		else if (request->deadline < requester->next_deadline)
			requester->next_deadline = request->deadline;
	}
}

static void check_silence(struct nettlp_requester *requester)
{
	bool has_answered = requester->counts.answered + requester->counts.refused > 0;
	uint64_t limit = has_answered ? SILENCE : FIRST_SILENCE;

	if (requester->now - requester->heard > limit || (requester->is_refused && !has_answered))
		requester->is_broken = true;
}

/* --- the whole */

enum kioku_status nettlp_requester_open(const struct nettlp_settings *settings,
					struct nettlp_requester **out, struct kioku_error *error)
{
	CLEANUP(cleanup_nettlp_requester)
	struct nettlp_requester *requester = calloc(1, sizeof(*requester));

	*out = NULL;
	if (!requester)
		return error_no_memory(error);
	requester->settings = *settings;
	requester->tags = calloc(settings->tags, sizeof(*requester->tags));
	if (!requester->tags)
		return error_no_memory(error);
	for (unsigned i = 0; i < settings->tags; i++)
		requester->order[i] = (uint8_t)i;
	requester->free_count = settings->tags;
	*out = TAKE(requester);
	return KIOKU_OK;
}

void nettlp_requester_close(struct nettlp_requester *requester)
{
	if (!requester)
		return;
	free(requester->tags);
	free(requester->again);
	free(requester);
}

const struct nettlp_counts *nettlp_requester_counts(const struct nettlp_requester *requester)
{
	return &requester->counts;
}

void nettlp_requester_begin(struct nettlp_requester *requester, struct remote_read *reads,
			    size_t count, uint64_t now)
{
	for (size_t i = 0; i < count; i++)
		reads[i].status = KIOKU_OK;
	requester->reads = reads;
	requester->count = count;
	requester->next = requester->offset = 0;
	requester->again_count = 0;
	requester->is_probing = requester->stands_still = false;
	requester->probing.size = 0;
	/* Nothing could be heard while nothing was asked. */
	requester->now = requester->heard = now;
	requester->next_deadline = UINT64_MAX;
	requester->counts.rounds++;
}

/* Answers to what nobody wants any more may still come. */
static void abandon(struct nettlp_requester *requester, const char *problem)
{
	for (unsigned tag = 0; tag < requester->settings.tags; tag++) {
		if (!requester->requests[tag].is_waiting)
			continue;
		nettlp_tag_quarantine(&requester->tags[tag], &requester->requests[tag].ask,
				      requester->now +
					      requester->settings.quarantine * MILLISECOND);
		free_tag(requester, tag);
	}
	for (size_t i = 0; i < requester->count; i++)
		if (requester->reads[i].status == KIOKU_OK)
			fail(requester,
			     &(struct piece){ .read = i, .physical = requester->reads[i].physical },
			     KIOKU_ERROR_OS, problem);
}

bool nettlp_requester_goes_on(struct nettlp_requester *requester, uint64_t now)
{
	requester->now = now;
	expire(requester);
	check_silence(requester);
	if (requester->is_broken)
		abandon(requester,
			requester->is_refused ? "nobody listens there" : "it does not answer");
	return !requester->is_broken && (is_waiting(requester) || requester->again_count > 0 ||
					 requester->next < requester->count);
}

/* Where nothing is under way, all that may be asked for is in quarantine: that has to pass. */
uint64_t nettlp_requester_wake(const struct nettlp_requester *requester)
{
	return is_waiting(requester) ? requester->next_deadline : requester->now + MILLISECOND;
}
