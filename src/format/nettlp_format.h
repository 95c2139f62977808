/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * NetTLP: PCI Express transaction layer packets (TLPs) as UDP datagrams, a header of 6 bytes and then
 * the TLP, all big-endian (libtlp include/libtlp.h and include/tlp.h; PCI Express Base Specification
 * 2.1, section 2.2). Only memory reads and their completions: nothing here can write to a target.
 */
#ifndef FORMAT_NETTLP_FORMAT_H
#define FORMAT_NETTLP_FORMAT_H

#include "base/bytes.h"

/* UDP ports: one for each tag; both ends use the same number. */
#define NETTLP_MESSAGE_PORT     0x2fff /* the message service of the driver in the target */
#define NETTLP_DEVICE_PORT      0x3000 /* + tag: requests that come from the network */
#define NETTLP_HOST_PORT        0x4000 /* + tag % 16: requests of the target to the adapter's memory */

#define NETTLP_HEADER_SIZE      6
#define TLP_READ_SIZE_MAX       16   /* of a memory read, in bytes */
#define TLP_COMPLETION_SIZE     12   /* of a completion without its data */
#define TLP_DATA_MAX            4096 /* that one request may ask for, and it lies in one such block */
#define TLP_COMPLETION_BOUNDARY 64   /* where alone a root complex splits completions, at least */

/*
 * The adapter counts all that it sends, and stamps it with its clock of 156.25 MHz (NetTLP adapter,
 * eth_encap_core.sv); libtlp sends zeros.
 */
struct nettlp_header {
	uint16_t sequence;
	uint32_t timestamp;
};

/* MRd. */
struct tlp_read {
	uint64_t address; /* of the first byte that is asked for */
	uint32_t size;    /* bytes from there to the last that is, at most TLP_DATA_MAX; 0: none */
	uint16_t requester; /* bus << 8 | device << 3 | function */
	uint8_t tag;
	uint8_t address_type; /* 0: not translated; only that is ever encoded */
};

enum tlp_status {
	TLP_SUCCESSFUL = 0,
	TLP_UNSUPPORTED_REQUEST = 1,
	TLP_CONFIGURATION_RETRY = 2,
	TLP_COMPLETER_ABORT = 4,
};

/* Cpl or, with data, CplD. */
struct tlp_completion {
	uint16_t completer, requester;
	uint8_t tag;
	uint8_t status;        /* enum tlp_status, or one that is reserved */
	uint8_t lower_address; /* of the first byte that counts, its last 7 bits */
	bool is_poisoned;      /* whoever sent it knows that the data are wrong */
	uint32_t
		remaining; /* bytes that count from this completion's first to the request's last */
	struct bytes data; /* whole words of 4 bytes: those that do not count are included */
};

void nettlp_header_encode(const struct nettlp_header *header, uint8_t out[NETTLP_HEADER_SIZE]);

/* Splits a datagram; false if it is shorter than its header. */
bool nettlp_header_decode(struct bytes datagram, struct nettlp_header *out, struct bytes *tlp);

/*
 * A memory read of 1 to TLP_DATA_MAX bytes that do not cross a multiple of TLP_DATA_MAX, with 3 words
 * of header below 4 GiB and 4 above, as the specification wants it. Returns how many bytes.
 */
size_t tlp_read_encode(const struct tlp_read *read, uint8_t out[TLP_READ_SIZE_MAX]);

/* Encodes all but the data, which follow. Returns TLP_COMPLETION_SIZE. */
size_t tlp_completion_encode(const struct tlp_completion *completion,
			     uint8_t out[TLP_COMPLETION_SIZE]);

/* NULL, or why a TLP is none of the kind: "it ...". Decoded data point into it. */
const char *tlp_read_decode(struct bytes tlp, struct tlp_read *out);
const char *tlp_completion_decode(struct bytes tlp, struct tlp_completion *out);

#endif
