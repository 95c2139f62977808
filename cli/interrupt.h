/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A clean stop on SIGINT, SIGTERM and SIGHUP: the first one is noted, a second one ends at once. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

/* From now on. A signal that is ignored, as SIGHUP is under nohup, stays ignored. */
void interrupt_catch(void);

/* The signal that came, by its name, or NULL. */
const char *interrupt_name(void);

#endif
