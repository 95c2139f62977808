/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What either end of a NetTLP link may hear. */
#include "format/nettlp_format.h"
#include "fuzz.h"

/* What was decoded means the same once it was encoded. */
static void check_read(const struct tlp_read *read)
{
	uint8_t out[TLP_READ_SIZE_MAX];
	struct tlp_read again;

	FUZZ_CHECK(read->size <= TLP_DATA_MAX);
	if (read->size == 0)
		return;
	size_t size = tlp_read_encode(read, out);
	FUZZ_CHECK(!tlp_read_decode((struct bytes){ out, size }, &again));
	FUZZ_CHECK(again.address == read->address && again.size == read->size);
	FUZZ_CHECK(again.tag == read->tag && again.requester == read->requester);
	FUZZ_CHECK(again.address_type == 0);
}

static void check_completion(const struct tlp_completion *completion, struct bytes tlp)
{
	uint8_t out[TLP_COMPLETION_SIZE];
	const struct bytes data = completion->data;

	FUZZ_CHECK(data.size <= TLP_DATA_MAX && data.size % 4 == 0);
	FUZZ_CHECK(completion->remaining >= 1 && completion->remaining <= TLP_DATA_MAX);
	if (data.size > 0)
		FUZZ_CHECK(data.data == tlp.data + TLP_COMPLETION_SIZE &&
			   data.size <= tlp.size - TLP_COMPLETION_SIZE);
	FUZZ_CHECK(tlp_completion_encode(completion, out) == TLP_COMPLETION_SIZE);
	/* What has no meaning here is left out: attributes, BCM, and the length where there are no data. */
	FUZZ_CHECK(out[0] == tlp.data[0] && out[10] == tlp.data[10]);
	FUZZ_CHECK(memcmp(out + 4, tlp.data + 4, 2) == 0 && memcmp(out + 8, tlp.data + 8, 2) == 0);
	FUZZ_CHECK(((out[6] ^ tlp.data[6]) & 0xef) == 0 && out[7] == tlp.data[7]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nettlp_header header;
	struct tlp_completion completion;
	struct tlp_read read;
	struct bytes tlp;

	if (!nettlp_header_decode((struct bytes){ data, size }, &header, &tlp))
		return 0;
	if (!tlp_read_decode(tlp, &read))
		check_read(&read);
	if (!tlp_completion_decode(tlp, &completion))
		check_completion(&completion, tlp);
	return 0;
}
