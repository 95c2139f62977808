/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/findings.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct finding {
	struct finding *next;
	enum kioku_severity severity;
	char message[];
};

void findings_init(struct findings *findings)
{
	*findings = (struct findings){ 0 };
	findings->last = &findings->first;
	pthread_mutex_init(&findings->lock, NULL);
}

static void free_all(struct finding *finding)
{
	while (finding) {
		struct finding *next = finding->next;
		free(finding);
		finding = next;
	}
}

void findings_release(struct findings *findings)
{
	free_all(findings->first);
	pthread_mutex_destroy(&findings->lock);
}

static void keep(void *user, enum kioku_severity severity, const char *message)
{
	struct findings *findings = user;
	size_t size = strlen(message) + 1;
	struct finding *finding = malloc(sizeof(*finding) + size);

	if (finding) {
		finding->next = NULL;
		finding->severity = severity;
		memcpy(finding->message, message, size);
	}
	pthread_mutex_lock(&findings->lock);
	if (finding && findings->count < FINDINGS_LIMIT) {
		*findings->last = finding;
		findings->last = &finding->next;
		findings->count++;
		finding = NULL;
	} else {
		findings->dropped++;
		findings->dropped_gap |= severity == KIOKU_GAP;
	}
	pthread_mutex_unlock(&findings->lock);
	free(finding);
}

struct diagnostics findings_diagnostics(struct findings *findings)
{
	return (struct diagnostics){ keep, findings };
}

void findings_report(struct findings *findings, const struct diagnostics *to)
{
	pthread_mutex_lock(&findings->lock);
	struct finding *first = findings->first;
	size_t dropped = findings->dropped;
	enum kioku_severity severity = findings->dropped_gap ? KIOKU_GAP : KIOKU_WARNING;
	findings->first = NULL;
	findings->last = &findings->first;
	findings->count = findings->dropped = 0;
	findings->dropped_gap = false;
	pthread_mutex_unlock(&findings->lock);

	for (const struct finding *finding = first; finding; finding = finding->next)
		diagnose(to, finding->severity, "%s", finding->message);
	if (dropped > 0)
		diagnose(to, severity, "%zu more findings came too fast to be listed", dropped);
	free_all(first);
}
