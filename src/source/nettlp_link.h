/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The requester: memory reads to a NetTLP adapter, many at once from one thread. Never anything else
 * than reads, never translated addresses.
 */
#ifndef SOURCE_NETTLP_LINK_H
#define SOURCE_NETTLP_LINK_H

#include <netinet/in.h>

#include "base/error.h"
#include "source/remote.h"

#define NETTLP_TAG_LIMIT 256u

struct nettlp_settings {
	struct in_addr target, local;
	unsigned port;      /* NETTLP_DEVICE_PORT or NETTLP_HOST_PORT */
	unsigned tags;      /* 1 to NETTLP_TAG_LIMIT */
	uint32_t read_size; /* Max_Read_Request_Size, bytes: 128 to 4096, a power of two */
	uint32_t data_size; /* Max_Payload_Size, bytes, likewise */
	uint16_t requester; /* id of the adapter in the target: bus << 8 | device << 3 | function */
	uint32_t timeout;   /* ms that an answer may take at most before it is asked for again */
	uint32_t quarantine; /* ms that answers may come after that */
};

struct nettlp_link;

/* Errors: OS, NO_MEMORY. */
enum kioku_status nettlp_link_open(const struct nettlp_settings *settings, struct nettlp_link **out,
				   struct kioku_error *error);
void nettlp_link_close(struct nettlp_link *link); /* takes NULL */
DEFINE_CLEANUP(nettlp_link, struct nettlp_link, nettlp_link_close)

/* As struct remote_driver has it. */
void nettlp_link_read(struct nettlp_link *link, struct remote_read *reads, size_t count);

struct nettlp_counts {
	uint64_t requests; /* sent, again or for the first time */
	uint64_t bytes;    /* that came in and were wanted */
	uint64_t rounds;   /* batches */
	uint64_t repeated; /* requests whose answer did not come in time */
	uint64_t refused;  /* answered by Unsupported Request or Completer Abort */
	uint64_t answered; /* answered with data */
	uint64_t strange; /* datagrams that answer no request, or wrongly: late, doubled, damaged */
};

const struct nettlp_counts *nettlp_link_counts(const struct nettlp_link *link);

#endif
