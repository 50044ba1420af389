/* A libnvidia-ml.so.1 for cards that are not there. See standin_cards.h for how it is told.
 *
 * Structures and codes are NVML's own, written from its reference manual, not from pynvml. With
 * -DWITHOUT_V2 it is an old library, without nvmlDeviceGetMemoryInfo_v2. STANDIN_LOG names a file
 * that gets one line per call.
 */
#include "standin_cards.h"

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_FOUND = 6, BAD_VERSION = 25 };

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory_v2;

static int users;

static void note(const char *call, const char *detail) {
    const char *path = getenv("STANDIN_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    if (!log) return;
    fprintf(log, "%s %s\n", call, detail);
    fclose(log);
}

EXPORT int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int code = outcome("INIT");
    note("init", code ? "refused" : "done");
    if (code) return code;
    read_cards();
    users++;
    return SUCCESS;
}

EXPORT int nvmlShutdown(void) {
    if (!users) return UNINITIALIZED;
    users--;
    note("shutdown", "done");
    return outcome("SHUTDOWN");
}

EXPORT const char *nvmlErrorString(int code) {
    static char text[64];
    snprintf(text, sizeof text, "stand-in text of error %d", code);
    return text;
}

EXPORT int nvmlDeviceGetHandleByUUID(const char *uuid, Card **device) {
    if (!users) return UNINITIALIZED;
    if (!uuid || !device) return INVALID_ARGUMENT;
    note("look-up", uuid);
    if (outcome("HANDLE")) return outcome("HANDLE");
    for (int i = 0; i < n_cards; i++)
        if (strcmp(cards[i].uuid, uuid) == 0) {
            *device = &cards[i];
            return SUCCESS;
        }
    return NOT_FOUND;
}

static unsigned long long used(const Card *card) {
    return card->total - card->reserved - card->free;
}

EXPORT int nvmlDeviceGetMemoryInfo(Card *card, Memory *memory) {
    if (!users) return UNINITIALIZED;
    note("memory", "1");
    if (outcome("MEMORY")) return outcome("MEMORY");
    /* version 1 counts what the driver reserves as used */
    *memory = (Memory){card->total, card->free, used(card) + card->reserved};
    return SUCCESS;
}

#ifndef WITHOUT_V2
EXPORT int nvmlDeviceGetMemoryInfo_v2(Card *card, Memory_v2 *memory) {
    if (!users) return UNINITIALIZED;
    note("memory", "2");
    if (memory->version != (sizeof *memory | 2u << 24)) return BAD_VERSION;
    if (outcome("MEMORY_V2")) return outcome("MEMORY_V2");
    memory->total = card->total;
    memory->reserved = card->reserved;
    memory->free = card->free;
    memory->used = used(card);
    return SUCCESS;
}
#endif
