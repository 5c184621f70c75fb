// Runs a kernel on the host: a thread for each thread of a block, one block after the other.
//
// Arguments: the kernel, the grid's x and y, then the parameters in their order: `f:3` reads three
// floats from stdin, `d:3` doubles, `i:3` 32-bit integers; `u64=`, `u32=`, `f32=` are numbers; `=0`
// is the buffer of an earlier parameter. A parameter `@4,5/2` is a table of addresses: two rows of
// one buffer each, the buffers 4 and 5, each with its length in floats at the end; buffers of a
// table come after the parameters. All buffers are written to stdout at the end.

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    unsigned x, y, z;
} Index;

static _Thread_local Index threadIdx;
static Index blockIdx, gridDim;
static pthread_barrier_t barrier;

#define KERNEL static
#define DEVICE static
#define SHARED static
#define BARRIER() pthread_barrier_wait(&barrier)
#define ROW_BARRIER() pthread_barrier_wait(&barrier)

#include "../src/cuda/kernels.cu"

typedef union {
    void *buffer;
    u64 u64v;
    u32 u32v;
    float f32v;
} Parameter;

static Parameter p[32];
static const char *kernel;

static void call(void) {
#define IS(name) (strcmp(kernel, name) == 0)
#define B(n) p[n].buffer
    if (IS("dropout")) dropout(B(0), B(1), p[2].u64v, p[3].u64v, p[4].u32v, p[5].f32v);
    else if (IS("gelu_backward")) gelu_backward(B(0), B(1), B(2), p[3].u64v);
    else if (IS("adamw"))
        adamw(B(0), B(1), p[2].f32v, p[3].f32v, p[4].f32v, p[5].f32v, p[6].f32v);
    else if (IS("add_row")) add_row(B(0), B(1), p[2].u64v, p[3].u64v);
    else if (IS("swap_axes"))
        swap_axes(B(0), B(1), p[2].u64v, p[3].u64v, p[4].u64v, p[5].u64v);
    else if (IS("attention_weights"))
        attention_weights(B(0), B(1), B(2), B(3), p[4].u64v, p[5].u64v, p[6].u64v, p[7].f32v,
                          p[8].u64v, p[9].u32v, p[10].f32v);
    else if (IS("attention_weights_backward"))
        attention_weights_backward(B(0), B(1), B(2), p[3].u64v, p[4].u64v, p[5].f32v, p[6].u64v,
                                   p[7].u32v, p[8].f32v);
    else if (IS("square_sum")) square_sum(B(0), B(1));
    else if (IS("column_sum")) column_sum(B(0), B(1), p[2].u64v, p[3].u64v);
    else if (IS("softmax_backward"))
        softmax_backward(B(0), B(1), B(2), p[3].u64v, p[4].u64v);
    else if (IS("layer_norm_backward"))
        layer_norm_backward(B(0), B(1), B(2), B(3), B(4), p[5].u64v, p[6].u64v, p[7].f32v);
    else if (IS("embedding_backward"))
        embedding_backward(B(0), B(1), B(2), p[3].u64v, p[4].u64v);
    else exit(3);
}

// Reads `4,5/2`.
static u64 *table(const char *text, const size_t *lengths) {
    u64 *row = malloc(64 * sizeof *row);
    const char *slash = strchr(text, '/');
    int columns = atoi(slash + 1), column = 0, length = 0;
    size_t last = 0;
    while (text < slash) {
        char *end;
        last = strtoull(text, &end, 10);
        row[length++] = (u64)(size_t)p[last].buffer;
        if (++column == columns) {
            row[length++] = lengths[last] / 4;
            column = 0;
        }
        text = end + 1;
    }
    return row;
}

static void *thread(void *number) {
    threadIdx.x = (unsigned)(size_t)number;
    for (unsigned y = 0; y < gridDim.y; y++) {
        for (unsigned x = 0; x < gridDim.x; x++) {
            BARRIER();
            if (threadIdx.x == 0) blockIdx = (Index){x, y, 0};
            BARRIER();
            call();
        }
    }
    return NULL;
}

int main(int count, char **arguments) {
    if (count < 4) return 2;
    kernel = arguments[1];
    gridDim = (Index){(unsigned)atoi(arguments[2]), (unsigned)atoi(arguments[3]), 1};
    size_t lengths[32] = {0};
    for (int i = 4; i < count; i++) {
        const char *text = arguments[i];
        Parameter *to = &p[i - 4];
        if (text[1] == ':') {
            size_t length = (size_t)strtoull(text + 2, NULL, 10) * (text[0] == 'd' ? 8 : 4);
            lengths[i - 4] = length;
            to->buffer = malloc(length + 1);
            if (fread(to->buffer, 1, length, stdin) != length) return 4;
        } else if (text[0] == '@') continue;
        else if (text[0] == '=') to->buffer = p[atoi(text + 1)].buffer;
        else if (strncmp(text, "u64=", 4) == 0) to->u64v = strtoull(text + 4, NULL, 10);
        else if (strncmp(text, "u32=", 4) == 0) to->u32v = (u32)strtoul(text + 4, NULL, 10);
        else if (strncmp(text, "f32=", 4) == 0) to->f32v = strtof(text + 4, NULL);
        else return 2;
    }
    for (int i = 4; i < count; i++) {
        if (arguments[i][0] == '@') p[i - 4].buffer = table(arguments[i] + 1, lengths);
    }
    pthread_barrier_init(&barrier, NULL, THREADS);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, thread, (void *)i)) return 5;
    }
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 32; i++) {
        if (lengths[i]) fwrite(p[i].buffer, 1, lengths[i], stdout);
    }
    return 0;
}
