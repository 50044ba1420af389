/* A libcuda.so.1 for cards that are not there. See standin_cards.h for how it is told.
 *
 * It numbers devices as CUDA's documentation says of CUDA_VISIBLE_DEVICES (indices, abbreviated
 * UUIDs, MIG slices; nothing after the first bad name) and CUDA_DEVICE_ORDER. With -DWITHOUT_UUID
 * it is an old driver, without cuDeviceGetUuid_v2.
 */
#include "standin_cards.h"

enum { SUCCESS = 0, INVALID_VALUE = 1, NO_DEVICE = 100, INVALID_DEVICE = 101 };
enum { ATTRIBUTE_INTEGRATED = 18, POOL_RESERVED_CURRENT = 5 };

static Card *order[MAX_CARDS], *visible[MAX_CARDS];
static int n_order, n_visible;

static int is_mig(const Card *card) { return strncmp(card->uuid, "MIG-", 4) == 0; }

/* Whole cards in CUDA's order: by bus, or the fast ones first; a sliced card as its first slice. */
static void number_devices(void) {
    const char *by = getenv("CUDA_DEVICE_ORDER");
    int by_bus = by && strcmp(by, "PCI_BUS_ID") == 0;
    n_order = 0;
    for (int fast = 1; fast >= 0; fast--)
        for (int i = 0; i < n_cards; i++) {
            if (is_mig(&cards[i])) continue;
            int is_fast = by_bus || cards[i].attributes & FAST;
            if (!!is_fast != fast) continue;
            int is_sliced = i + 1 < n_cards && is_mig(&cards[i + 1]);
            order[n_order++] = is_sliced ? &cards[i + 1] : &cards[i];
        }
}

static Card *find(const char *name) {
    Card *found = NULL;
    if (strncmp(name, "GPU-", 4) != 0 && strncmp(name, "MIG-", 4) != 0) {
        char *end;
        long index = strtol(name, &end, 10);
        return *end || end == name || index < 0 || index >= n_order ? NULL : order[index];
    }
    for (int i = 0; i < n_cards; i++)
        if (strncmp(cards[i].uuid, name, strlen(name)) == 0) {
            if (found) return NULL; /* an abbreviation must be unique */
            found = &cards[i];
        }
    return found;
}

EXPORT int cuInit(unsigned flags) {
    (void)flags;
    read_cards();
    number_devices();
    const char *given = getenv("CUDA_VISIBLE_DEVICES");
    n_visible = 0;
    if (!given) {
        memcpy(visible, order, sizeof order);
        n_visible = n_order;
    } else {
        char text[1024], *rest = text;
        snprintf(text, sizeof text, "%s", given);
        for (char *name; (name = strtok_r(rest, ",", &rest));) {
            Card *card = find(name);
            if (!card) break;
            visible[n_visible++] = card;
        }
    }
    return outcome("CU_INIT") ? outcome("CU_INIT") : n_visible ? SUCCESS : NO_DEVICE;
}

EXPORT int cuDeviceGet(int *device, int ordinal) {
    if (ordinal < 0 || ordinal >= n_visible) return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}

#ifndef WITHOUT_UUID
EXPORT int cuDeviceGetUuid_v2(unsigned char raw[16], int device) {
    const char *digits = visible[device]->uuid + 4;
    for (int i = 0; i < 16; i++) {
        digits += *digits == '-';
        if (sscanf(digits, "%2hhx", &raw[i]) != 1) return INVALID_VALUE;
        digits += 2;
    }
    return SUCCESS;
}
#endif

EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device) {
    if (attribute != ATTRIBUTE_INTEGRATED) return INVALID_VALUE;
    *value = !!(visible[device]->attributes & INTEGRATED);
    return SUCCESS;
}

EXPORT int cuDeviceGetDefaultMemPool(void **pool, int device) {
    *pool = visible[device];
    return outcome("CU_POOL");
}

EXPORT int cuMemPoolGetAttribute(void *pool, int attribute, unsigned long long *value) {
    const char *given = getenv("STANDIN_POOL_BYTES");
    if (!pool || attribute != POOL_RESERVED_CURRENT) return INVALID_VALUE;
    *value = given ? strtoull(given, NULL, 10) : 0;
    return SUCCESS;
}
