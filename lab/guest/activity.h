/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Known, steady activity: what a lab guest runs, and what its parts share. */
#ifndef LAB_ACTIVITY_H
#define LAB_ACTIVITY_H

/* Print to FILE below /run, for the agent to collect; "a" and "w" as in fopen. */
void record(const char *file, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tell the launcher that this process is as it is going to stay. */
void ready(void);

/* Sleep for good. */
void rest(void) __attribute__((noreturn));

/* End loudly when a step of the set-up failed: a silent gap would pass for truth. */
void need(int good, const char *what);

/* Whether this kernel has something, of which such a path is the evidence. */
int offers(const char *path);

/* Those of some kinds of namespaces (CLONE_NEW...) that this kernel has. */
int namespaces_of(int kinds);

void hold_memory(void);         /* memory.c */
void hold_files(void);          /* files.c */
void hold_sockets(void);        /* files.c */
void hold_descriptors(void);    /* descriptors.c */
void hold_mounts(void);         /* descriptors.c */
void hold_other_root(void);     /* descriptors.c */
void hold_sleepers(void);       /* sleepers.c */
void hold_timers(void);         /* timers.c */
void hold_capabilities(void);   /* confined.c */
void hold_cgroups(void);        /* confined.c */
void hold_namespaces(void);     /* confined.c */
void hold_user_namespace(void); /* confined.c */
void hold_network(void);        /* network.c */
void add_routes(void);          /* routes.c */
void add_filters(void);         /* filters.c */

/* These do not return: what they hold would be gone. The second one is the one that tells the launcher. */
void hold_vectors(void) __attribute__((noreturn));  /* sleepers.c */
void hold_strictly(void) __attribute__((noreturn)); /* confined.c */

#endif
