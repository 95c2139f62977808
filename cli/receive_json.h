/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CLI_RECEIVE_JSON_H
#define CLI_RECEIVE_JSON_H

#include <kioku/receive.h>

/* One object a line on stdout; command: the line to paste, of URL events. */
void receive_json_print(const struct kioku_receive_event *event, const char *command);

#endif
