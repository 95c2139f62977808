/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events on their way from the threads of a receiver to the one that called kioku_receive(). */
#ifndef RECEIVE_EVENTS_H
#define RECEIVE_EVENTS_H

#include <kioku/receive.h>
#include <pthread.h>

struct event_item;

struct events {
	pthread_mutex_t lock;
	pthread_cond_t arrived;
	struct event_item *first, **last;
	size_t refused; /* REFUSED events among them: anybody can cause those */
};

void events_init(struct events *events);
void events_release(struct events *events);

/* Copies an event. It is lost if there is no memory, or if nobody takes REFUSED ones out for long. */
void events_push(struct events *events, const struct kioku_receive_event *event);

/* Waits some time, at most, for an event, and gives it to function. False: none came. */
bool events_take(struct events *events, double seconds, kioku_receive_fn *function, void *user,
		 bool *goes_on);

#endif
