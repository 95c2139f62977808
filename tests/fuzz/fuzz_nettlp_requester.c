/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A target that answers as it likes: records of 24 bytes say which request is answered, from where on, how
 * long that takes, and which bits of the right answer's headers are wrong.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "source/nettlp_requester.h"

#define RECORD  24
#define READS   3
#define LARGEST 9000
#define MEMORY  50

static const struct remote_read wanted[READS] = { { .physical = 0x1ff8, .size = 8 },
						  { .physical = 0x100000ffd, .size = LARGEST },
						  { .physical = 0x20003, .size = 61 } };

/* The requests that were made last. */
struct asked {
	struct tlp_read reads[MEMORY];
	unsigned sockets[MEMORY];
	size_t count;
};

static void ask(struct nettlp_requester *requester, struct asked *asked)
{
	struct nettlp_datagram datagram;
	struct nettlp_header header;
	struct bytes tlp;

	while (nettlp_requester_next(requester, &datagram)) {
		struct tlp_read *read = &asked->reads[asked->count % MEMORY];
		FUZZ_CHECK(nettlp_header_decode((struct bytes){ datagram.data, datagram.size },
						&header, &tlp));
		FUZZ_CHECK(tlp_read_decode(tlp, read) == NULL);
		FUZZ_CHECK(read->address_type == 0 && read->size >= 1 && read->size <= 512);
		FUZZ_CHECK(read->address / 4096 == (read->address + read->size - 1) / 4096);
		asked->sockets[asked->count++ % MEMORY] = datagram.socket;
	}
}

static void answer(struct nettlp_requester *requester, const struct asked *asked,
		   const uint8_t *record, uint64_t now)
{
	size_t last = asked->count < MEMORY ? asked->count : MEMORY;
	uint8_t datagram[NETTLP_HEADER_SIZE + TLP_COMPLETION_SIZE + 1024] = { 0 };
	const struct tlp_read *read = &asked->reads[record[0] % last];
	uint32_t offset = record[1] * 4u % read->size, left = read->size - offset;
	uint64_t start = read->address + offset;
	struct tlp_completion completion = {
		.requester = read->requester,
		.tag = read->tag,
		.lower_address = start & 0x7f,
		.remaining = left,
		.data = { datagram, ((start & 3) + left + 3) & ~3u },
	};

	tlp_completion_encode(&completion, datagram + NETTLP_HEADER_SIZE);
	for (size_t i = 0; i < NETTLP_HEADER_SIZE + TLP_COMPLETION_SIZE; i++)
		datagram[i] ^= record[6 + i];
	size_t size = NETTLP_HEADER_SIZE + TLP_COMPLETION_SIZE + completion.data.size;
	nettlp_requester_take(requester, asked->sockets[record[0] % last],
			      (struct bytes){ datagram, record[2] % 16 == 1 ? record[3] : size },
			      now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct nettlp_settings settings = { .port = NETTLP_DEVICE_PORT,
						  .tags = 6,
						  .sockets = 6,
						  .read_size = 512,
						  .data_size = 4096,
						  .requester = 0x0100,
						  .timeout = 50,
						  .quarantine = 100 };
	CLEANUP(cleanup_nettlp_requester) struct nettlp_requester *requester = NULL;
	struct remote_read reads[READS];
	struct asked asked = { .count = 0 };
	uint64_t now = 1;

	if (nettlp_requester_open(&settings, &requester, NULL) != KIOKU_OK)
		return 0;
	for (size_t i = 0; i < READS; i++) {
		reads[i] = wanted[i];
		reads[i].buffer = malloc(wanted[i].size);
		FUZZ_CHECK(reads[i].buffer);
	}
	nettlp_requester_begin(requester, reads, READS, now);
	while (nettlp_requester_goes_on(requester, now)) {
		ask(requester, &asked);
		if (size >= RECORD && asked.count > 0) {
			answer(requester, &asked, data, now);
			now += (uint64_t)data[4] << data[5] % 32;
			data += RECORD;
			size -= RECORD;
		} else {
			uint64_t wake = nettlp_requester_wake(requester);
			now = wake > now ? wake
					 : now + 1; /* nobody answers any more: it must end */
		}
	}
	for (size_t i = 0; i < READS; i++) {
		FUZZ_CHECK(reads[i].status == KIOKU_OK || reads[i].problem);
		FUZZ_CHECK(reads[i].status == KIOKU_OK ||
			   reads[i].failed_at - reads[i].physical < reads[i].size);
		free(reads[i].buffer);
	}
	return 0;
}
