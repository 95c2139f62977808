/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A requester's sockets: many reads at once from one thread. */
#ifndef SOURCE_NETTLP_LINK_H
#define SOURCE_NETTLP_LINK_H

#include "source/nettlp_requester.h"

struct nettlp_link;

/* settings->sockets does not matter. Errors: OS, NO_MEMORY. */
enum kioku_status nettlp_link_open(const struct nettlp_settings *settings, struct nettlp_link **out,
				   struct kioku_error *error);
void nettlp_link_close(struct nettlp_link *link); /* takes NULL */
DEFINE_CLEANUP(nettlp_link, struct nettlp_link, nettlp_link_close)

/* As struct remote_driver has it. */
void nettlp_link_read(struct nettlp_link *link, struct remote_read *reads, size_t count);

const struct nettlp_counts *nettlp_link_counts(const struct nettlp_link *link);

#endif
