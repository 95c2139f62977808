/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/thread.h"

enum { REFUSED_LIMIT = 256 };

struct event_item {
	struct event_item *next;
	struct kioku_receive_event event;
	char texts[]; /* what event points at */
};

void events_init(struct events *events)
{
	*events = (struct events){ .last = &events->first };
	pthread_mutex_init(&events->lock, NULL);
	condition_init(&events->arrived);
}

void events_release(struct events *events)
{
	while (events->first) {
		AUTO_FREE struct event_item *item = events->first;
		events->first = item->next;
	}
	pthread_cond_destroy(&events->arrived);
	pthread_mutex_destroy(&events->lock);
}

static struct event_item *copy(const struct kioku_receive_event *event)
{
	const char *const texts[] = { event->transfer, event->address, event->url,
				      event->peer,     event->host,    event->folder,
				      event->image,    event->sha256,  event->message };
	enum { COUNT = sizeof(texts) / sizeof(*texts) };
	size_t size = 0;

	for (size_t i = 0; i < COUNT; i++)
		size += (texts[i] ? strlen(texts[i]) : 0) + 1;
	struct event_item *item = malloc(sizeof(*item) + size);
	if (!item)
		return NULL;
	item->next = NULL;
	item->event = *event;
	const char **const copies[] = { &item->event.transfer, &item->event.address,
					&item->event.url,      &item->event.peer,
					&item->event.host,     &item->event.folder,
					&item->event.image,    &item->event.sha256,
					&item->event.message };
	char *end = item->texts;
	for (size_t i = 0; i < COUNT; i++) {
		*copies[i] = end;
		end = stpcpy(end, texts[i] ? texts[i] : "") + 1;
	}
	return item;
}

void events_push(struct events *events, const struct kioku_receive_event *event)
{
	bool refused = event->kind == KIOKU_RECEIVE_REFUSED;
	struct event_item *item = copy(event);

	if (!item)
		return;
	pthread_mutex_lock(&events->lock);
	if (refused && events->refused >= REFUSED_LIMIT) {
		free(item);
	} else {
		events->refused += refused;
		*events->last = item;
		events->last = &item->next;
		pthread_cond_signal(&events->arrived);
	}
	pthread_mutex_unlock(&events->lock);
}

static struct event_item *take(struct events *events, double seconds)
{
	struct timespec deadline = deadline_after(seconds);
	int failed = 0;

	pthread_mutex_lock(&events->lock);
	while (!events->first && failed == 0)
		failed = pthread_cond_timedwait(&events->arrived, &events->lock, &deadline);
	struct event_item *item = events->first;
	if (item) {
		events->first = item->next;
		if (!events->first)
			events->last = &events->first;
		events->refused -= item->event.kind == KIOKU_RECEIVE_REFUSED;
	}
	pthread_mutex_unlock(&events->lock);
	return item;
}

bool events_take(struct events *events, double seconds, kioku_receive_fn *function, void *user,
		 bool *goes_on)
{
	AUTO_FREE struct event_item *item = take(events, seconds);

	if (item)
		*goes_on &= function(user, &item->event);
	return item;
}
