/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "receive/server.h"

static bool is_due(const struct session *session)
{
	const struct session_note *note = &session->reception.record.note;

	/* One that a connection owns may still change; its sender leaves soon after it is done. */
	return !session->upload_tried && (!session->owner || session->was_told) &&
	       note->stage == SESSION_DONE && note->to_store;
}

static struct session *next_due(const struct server *server)
{
	struct session *session = server->sessions;

	while (session && !is_due(session))
		session = session->next;
	return session;
}

bool uploads_are_due(const struct server *server)
{
	if (!server->store)
		return false;
	for (const struct session *session = server->sessions; session; session = session->next)
		if (session->is_uploading || is_due(session))
			return true;
	return false;
}

/* The one thread that uploads is the only one that uses the store. */
static void upload(struct server *server, struct session *session)
{
	struct kioku_error error = { 0 };
	char folder[4096], url[4096] = "";

	snprintf(folder, sizeof(folder), "%s/%s", server->state.path,
		 session->reception.record.folder);
	enum kioku_status status = store_upload(server->store, folder, &session->uploaded,
						server_goes_on, server, &error);
	if (status == KIOKU_OK)
		store_url(server->store, folder, url, sizeof(url));

	pthread_mutex_lock(&server->lock);
	session->is_uploading = false;
	session->upload_tried = true;
	if (status == KIOKU_OK) {
		session->reception.record.note.to_store = false;
		session_save_note(server, session);
	}
	server->not_stored += status != KIOKU_OK;
	session_event(server, session,
		      status == KIOKU_OK ? KIOKU_RECEIVE_STORED : KIOKU_RECEIVE_NOT_STORED, status,
		      status == KIOKU_OK ? url : error.message);
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

void *uploads_run(void *user)
{
	struct server *server = user;

	pthread_mutex_lock(&server->lock);
	while (!server->is_ending) {
		struct session *session = next_due(server);
		if (!session) {
			pthread_cond_wait(&server->changed, &server->lock);
			continue;
		}
		session->is_uploading = true;
		pthread_mutex_unlock(&server->lock);
		upload(server, session);
		pthread_mutex_lock(&server->lock);
	}
	pthread_mutex_unlock(&server->lock);
	return NULL;
}
