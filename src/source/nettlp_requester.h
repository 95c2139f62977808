/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a requester knows: which reads are asked for by which tag, what of them came, what is lost. It
 * makes datagrams and takes them, and knows neither sockets nor clocks. Never anything else than reads,
 * never translated addresses.
 */
#ifndef SOURCE_NETTLP_REQUESTER_H
#define SOURCE_NETTLP_REQUESTER_H

#include <netinet/in.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/nettlp_format.h"
#include "source/remote.h"

#define NETTLP_TAG_LIMIT 256u

struct nettlp_settings {
	struct in_addr target, local;
	unsigned port;      /* NETTLP_DEVICE_PORT or NETTLP_HOST_PORT */
	unsigned tags;      /* 1 to NETTLP_TAG_LIMIT */
	unsigned sockets;   /* tag t has number t modulo that */
	uint32_t read_size; /* Max_Read_Request_Size, bytes: 128 to 4096, a power of two */
	uint32_t data_size; /* Max_Payload_Size, bytes, likewise */
	uint16_t requester; /* id of the adapter in the target: bus << 8 | device << 3 | function */
	uint32_t timeout;   /* ms that an answer may take at most before it is asked for again */
	uint32_t quarantine; /* ms that answers may come after that */
};

struct nettlp_counts {
	uint64_t requests; /* sent, again or for the first time */
	uint64_t bytes;    /* that came in and were wanted */
	uint64_t rounds;   /* batches */
	uint64_t repeated; /* requests whose answer did not come in time */
	uint64_t refused;  /* answered by Unsupported Request or Completer Abort */
	uint64_t answered; /* answered with data */
	uint64_t strange; /* datagrams that answer no request, or wrongly: late, doubled, damaged */
};

struct nettlp_datagram {
	uint8_t data[NETTLP_HEADER_SIZE + TLP_READ_SIZE_MAX];
	size_t size;
	unsigned socket;
};

struct nettlp_requester;

/* Errors: NO_MEMORY. */
enum kioku_status nettlp_requester_open(const struct nettlp_settings *settings,
					struct nettlp_requester **out, struct kioku_error *error);
void nettlp_requester_close(struct nettlp_requester *requester); /* takes NULL */
DEFINE_CLEANUP(nettlp_requester, struct nettlp_requester, nettlp_requester_close)

/* Begins a batch. now, here and below: of a clock that never goes back, in nanoseconds. */
void nettlp_requester_begin(struct nettlp_requester *requester, struct remote_read *reads,
			    size_t count, uint64_t now);

/*
 * Whether the batch goes on, after what is overdue was taken for lost; false: every read has its status.
 * Then requests may be made, and until nettlp_requester_wake() only answers bring anything about.
 */
bool nettlp_requester_goes_on(struct nettlp_requester *requester, uint64_t now);
uint64_t nettlp_requester_wake(const struct nettlp_requester *requester);

/* The next request; false: there is none, or no tag for it now. */
bool nettlp_requester_next(struct nettlp_requester *requester, struct nettlp_datagram *out);

/* What came at a socket, of whatever kind; and that nobody listens where one of them sends to. */
void nettlp_requester_take(struct nettlp_requester *requester, unsigned socket,
			   struct bytes datagram, uint64_t now);
void nettlp_requester_refused(struct nettlp_requester *requester);

const struct nettlp_counts *nettlp_requester_counts(const struct nettlp_requester *requester);

#endif
