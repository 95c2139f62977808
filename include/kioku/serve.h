/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A source as a machine with a NetTLP adapter: PCI Express memory reads that come as UDP datagrams are
 * answered with completions, as the adapter (github.com/NetTLP/adapter) and the root complex behind it
 * would, and, on demand, as a bad link or a hostile device would. Nothing is ever written.
 */
#ifndef KIOKU_SERVE_H
#define KIOKU_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kioku/error.h>
#include <kioku/source.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an IOMMU says to each request that it does not let through. */
enum kioku_serve_iommu {
	KIOKU_SERVE_NO_IOMMU,
	KIOKU_SERVE_IOMMU_UNSUPPORTED, /* Unsupported Request */
	KIOKU_SERVE_IOMMU_ABORT,       /* Completer Abort */
};

/* How a request fails, to be combined: one of them is picked each time. */
#define KIOKU_SERVE_ERROR_UNSUPPORTED 1u
#define KIOKU_SERVE_ERROR_ABORT       2u
#define KIOKU_SERVE_ERROR_RETRY       4u /* Configuration Request Retry Status */
#define KIOKU_SERVE_ERROR_POISON      8u /* data that are marked as wrong, and are */

/* Which field of a completion is wrong, to be combined: one of them is picked each time. */
#define KIOKU_SERVE_CORRUPT_LENGTH    1u
#define KIOKU_SERVE_CORRUPT_TAG       2u
#define KIOKU_SERVE_CORRUPT_STATUS    4u
#define KIOKU_SERVE_CORRUPT_ADDRESS   8u /* Lower Address */
#define KIOKU_SERVE_CORRUPT_REQUESTER 16u
#define KIOKU_SERVE_CORRUPT_TYPE      32u
#define KIOKU_SERVE_CORRUPT_SHORT     64u  /* the datagram is cut */
#define KIOKU_SERVE_CORRUPT_COUNT     128u /* Byte Count */

/*
 * Called from the thread that called kioku_serve(): with the address once, when requests are answered
 * from now on, and with NULL some times a second. False: end.
 */
typedef bool kioku_serve_fn(void *user, const char *address);

/*
 * What is 0 or NULL stands for its default. Chances are in percent, 0 to 100, and are drawn from the
 * seed: the same requests in the same order meet the same faults. Times are in nanoseconds.
 */
struct kioku_serve_options {
	size_t size;        /* sizeof(struct kioku_serve_options) */
	const char *nettlp; /* the IPv4 address to listen at; must not be NULL */
	const char *client; /* the only IPv4 address that is answered; NULL: all are */
	const char *ranges; /* file like /proc/iomem: what it does not call RAM is none; NULL */
	unsigned tags;      /* of which requests come, from 0 on, a port each; 1 to 256; 0: 256 */
	uint16_t requester; /* bus << 8 | device << 3 | function of the adapter; 0: 01:00.0 */
	uint16_t completer; /* likewise, of who answers */
	bool no_messages;   /* the driver's message service is not there, as after a panic */
	bool no_clock;      /* sequence numbers and timestamps are 0, as libtlp sends them */
	unsigned payload;   /* Max_Payload_Size: 128, 256 ... 4096 bytes; 0: 256 */
	unsigned boundary;  /* Read Completion Boundary: 64 or 128 bytes; 0: 64 */
	enum kioku_serve_iommu iommu;

	uint64_t seed;
	bool split;       /* completions are split anywhere that is allowed */
	uint64_t latency; /* from a request to its completions */
	uint64_t jitter;  /* at most so much is added, to each request its own */
	double loss;      /* of each datagram, either way */
	double duplicate; /* of each datagram, either way */
	double reorder;   /* of each completion: those behind it overtake it */
	double late;      /* of each request: its completions take late_delay longer */
	uint64_t late_delay;
	double error;         /* of each request */
	unsigned errors;      /* KIOKU_SERVE_ERROR_... */
	double corrupt;       /* of each completion */
	unsigned corruptions; /* KIOKU_SERVE_CORRUPT_... */

	kioku_serve_fn *event; /* must not be NULL */
	void *user;
};

/* What came and went. */
struct kioku_serve_result {
	uint64_t requests;    /* memory reads, well-formed */
	uint64_t completions; /* that were generated, lost ones included, copies not */
	uint64_t bytes;       /* of memory in them, that were asked for */
	uint64_t outside;     /* requests that touched what is no RAM */
	uint64_t absent;      /* requests for RAM whose bytes the source lacks */
	uint64_t translated;  /* requests whose address type was not 0; they are answered */
	uint64_t malformed;   /* datagrams, or requests across 4 KiB; they are not answered */
	uint64_t writes;      /* memory writes; they are refused, which no answer says */
	uint64_t foreign;     /* datagrams of others than the client */
	uint64_t messages;    /* requests to the message service */
	uint64_t dropped, duplicated, reordered; /* datagrams that met this fault */
	uint64_t late, failed;                   /* requests that met this fault */
	uint64_t corrupted;                      /* completions that met this fault */
	uint64_t unsent;  /* completions that the network, or memory, had no room for */
	uint64_t at_once; /* the most requests that waited for completions at one time */
};

/*
 * Serves until event() returns false. Requests come to port 0x3000 + tag. Completions go to the port
 * of their tag, from the port of their tag, if the request came from such a port, as the adapter
 * does it; else to the port the request came from. The message service is at port 0x2fff. Reads go to the
 * source one by one, so that of a file that changes, as a running guest's RAM, each has what is there
 * then. No privileges are needed. *result is filled in even if it fails. Errors: OS (a port is in use),
 * ARGUMENT, NO_MEMORY, CORRUPT (ranges).
 */
KIOKU_PUBLIC KIOKU_CHECK enum kioku_status kioku_serve(struct kioku_source *source,
						       const struct kioku_serve_options *options,
						       struct kioku_serve_result *result,
						       struct kioku_error *error);

#ifdef __cplusplus
}
#endif
#endif
