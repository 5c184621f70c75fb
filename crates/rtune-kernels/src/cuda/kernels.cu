// Kernels of training for CUDA. A thread covers places `stride` apart, so any grid computes the
// same result. Sums have a fixed order: a result depends on the shapes alone.
//
// The code is C as well as CUDA, and `tests/cuda.rs` runs it on the host, with threads for threads.

#ifdef __CUDACC__
#define KERNEL extern "C" __global__
#define SHARED __shared__
#define BARRIER() __syncthreads()
#define ROW_BARRIER() __syncwarp()
#define DEVICE static __device__
#endif

typedef unsigned int u32;
typedef unsigned long long u64;

// Threads of a block, in all kernels.
#define THREADS 256
// Columns of a block of column_sum; the other threads are its lanes.
#define COLUMNS 32
// Threads that share a row.
#define LANES 32

#define FIRST ((u64)blockIdx.x * THREADS + threadIdx.x)
#define STRIDE ((u64)gridDim.x * THREADS)

// y = x * mask. Each pattern of 64 bits serves four places.
KERNEL void dropout(const float *x, float *y, u64 length, u64 key, u32 threshold, float scale) {
    for (u64 pattern = FIRST; pattern * 4 < length; pattern += STRIDE) {
        u64 z = key ^ (pattern * 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        z = z ^ (z >> 31);
        for (u32 lane = 0; lane < 4; lane++) {
            u64 place = pattern * 4 + lane;
            if (place < length) {
                u32 bits = (u32)(z >> (16 * lane)) & 0xffffu;
                y[place] = x[place] * (bits >= threshold ? scale : 0.0f);
            }
        }
    }
}

// The gradient of x * Phi(x).
KERNEL void gelu_backward(const float *x, const float *gradient, float *output, u64 length) {
    for (u64 place = FIRST; place < length; place += STRIDE) {
        float value = x[place];
        float cumulative = 0.5f * (1.0f + erff(value * 0.70710678f));
        float density = 0.39894228f * expf(-0.5f * value * value);
        output[place] = gradient[place] * (cumulative + value * density);
    }
}

// One update of all parameters by AdamW; block (part, parameter). A row of `addresses` has value,
// gradient, both moments and the length, a row of `numbers` the rate and the share that decay
// leaves. `correction` is 1 / sqrt(1 - beta2^step).
KERNEL void adamw(const u64 *addresses, const float *numbers, float beta1, float beta2,
                  float epsilon, float correction, float clip) {
    const u64 *row = addresses + blockIdx.y * 5;
    float *value = (float *)row[0];
    const float *gradient = (const float *)row[1];
    float *first = (float *)row[2];
    float *second = (float *)row[3];
    float rate = numbers[blockIdx.y * 2];
    float keep = numbers[blockIdx.y * 2 + 1];
    for (u64 place = FIRST; place < row[4]; place += STRIDE) {
        float g = gradient[place] * clip;
        float m = beta1 * first[place] + (1.0f - beta1) * g;
        float v = beta2 * second[place] + (1.0f - beta2) * g * g;
        first[place] = m;
        second[place] = v;
        value[place] = value[place] * keep - rate * m / (sqrtf(v) * correction + epsilon);
    }
}

// Adds a row to each row of x.
KERNEL void add_row(float *x, const float *row, u64 rows, u64 width) {
    u64 column = FIRST;
    if (column >= width) return;
    float addend = row[column];
    for (u64 index = blockIdx.y; index < rows; index += gridDim.y) {
        x[index * width + column] += addend;
    }
}

// Swaps the two axes in the middle: x [outer, first, second, width], y [outer, second, first,
// width].
KERNEL void swap_axes(const float *x, float *y, u64 outer, u64 first, u64 second, u64 width) {
    u32 lane = threadIdx.x % LANES;
    for (u64 row = FIRST / LANES; row < outer * first * second; row += STRIDE / LANES) {
        u64 outside = row / (first * second);
        u64 rest = row % (first * second);
        u64 source = (outside * first + rest % first) * second + rest / first;
        for (u64 place = lane; place < width; place += LANES) {
            y[row * width + place] = x[source * width + place];
        }
    }
}

// Sums `lanes` over the threads of a block into lanes[0]. All threads must call it.
#define FOLD(lanes)                                                                                \
    for (u32 half = THREADS / 2; half > 0; half /= 2) {                                            \
        BARRIER();                                                                                 \
        if (threadIdx.x < half) lanes[threadIdx.x] += lanes[threadIdx.x + half];                   \
    }                                                                                              \
    BARRIER();

// partial[array, block] = sum x^2 over the places of a block; block (part, array). A row of
// `addresses` has an array and its length.
KERNEL void square_sum(const u64 *addresses, double *partial) {
    SHARED double lanes[THREADS];
    const float *x = (const float *)addresses[blockIdx.y * 2];
    u64 length = addresses[blockIdx.y * 2 + 1];
    double sum = 0.0;
    for (u64 place = FIRST; place < length; place += STRIDE) {
        float square = x[place] * x[place];
        sum += (double)square;
    }
    lanes[threadIdx.x] = sum;
    FOLD(lanes)
    if (threadIdx.x == 0) partial[blockIdx.y * gridDim.x + blockIdx.x] = lanes[0];
    BARRIER();
}

// The sum of each column over a piece of the rows; block (column, piece) -> output[piece, width].
// With one piece this is the sum over all rows.
KERNEL void column_sum(const float *x, float *output, u64 rows, u64 width) {
    SHARED float lanes[THREADS];
    u64 column = (u64)blockIdx.x * COLUMNS + threadIdx.x % COLUMNS;
    u64 lane = threadIdx.x / COLUMNS;
    u64 count = THREADS / COLUMNS;
    u64 piece = (rows + gridDim.y - 1) / gridDim.y;
    u64 end = (blockIdx.y + 1) * piece < rows ? (blockIdx.y + 1) * piece : rows;
    float sum = 0.0f;
    if (column < width) {
        for (u64 row = blockIdx.y * piece + lane; row < end; row += count) {
            sum += x[row * width + column];
        }
    }
    lanes[threadIdx.x] = sum;
    BARRIER();
    if (lane == 0 && column < width) {
        for (u64 other = 1; other < count; other++) sum += lanes[other * COLUMNS + threadIdx.x];
        output[blockIdx.y * width + column] = sum;
    }
    BARRIER();
}

// Sums `lanes` over the threads that share a row. All of them must call it.
#define FOLD_ROW(lanes)                                                                            \
    for (u32 half = LANES / 2; half > 0; half /= 2) {                                              \
        ROW_BARRIER();                                                                             \
        if (lane < half) lanes[threadIdx.x] += lanes[threadIdx.x + half];                          \
    }                                                                                              \
    ROW_BARRIER();

// The gradient of softmax: y * (g - sum g * y).
KERNEL void softmax_backward(const float *y, const float *gradient, float *output, u64 rows,
                             u64 width) {
    SHARED float lanes[THREADS];
    u32 lane = threadIdx.x % LANES;
    u64 row = FIRST / LANES;
    u64 start = row * width;
    u64 end = row < rows ? width : 0;
    float sum = 0.0f;
    for (u64 place = lane; place < end; place += LANES) {
        sum += y[start + place] * gradient[start + place];
    }
    lanes[threadIdx.x] = sum;
    FOLD_ROW(lanes)
    sum = lanes[threadIdx.x - lane];
    for (u64 place = lane; place < end; place += LANES) {
        output[start + place] = y[start + place] * (gradient[start + place] - sum);
    }
    BARRIER();
}

// The factor of a place in a dropout mask.
DEVICE float factor(u64 place, u64 key, u32 threshold, float scale) {
    u64 z = key ^ (place / 4 * 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    z = z ^ (z >> 31);
    return ((u32)(z >> (16 * (place % 4))) & 0xffffu) >= threshold ? scale : 0.0f;
}

// Softmax of scale * score + bias, a row of the bias for so many rows of scores, and the same times
// a dropout mask; without dropout, `dropped` is `weights`.
KERNEL void attention_weights(const float *scores, const float *bias, float *weights,
                              float *dropped, u64 rows, u64 width, u64 rows_of_bias, float scale,
                              u64 key, u32 threshold, float kept) {
    SHARED float lanes[THREADS];
    u32 lane = threadIdx.x % LANES;
    u32 origin = threadIdx.x - lane;
    u64 row = FIRST / LANES;
    u64 start = row * width;
    u64 end = row < rows ? width : 0;
    const float *addend = bias + row / rows_of_bias * width;
    float largest = -3.402823466e38f;
    for (u64 place = lane; place < end; place += LANES) {
        largest = fmaxf(largest, scores[start + place] * scale + addend[place]);
    }
    lanes[threadIdx.x] = largest;
    for (u32 half = LANES / 2; half > 0; half /= 2) {
        ROW_BARRIER();
        if (lane < half) {
            lanes[threadIdx.x] = fmaxf(lanes[threadIdx.x], lanes[threadIdx.x + half]);
        }
    }
    ROW_BARRIER();
    largest = lanes[origin];
    ROW_BARRIER();
    float sum = 0.0f;
    for (u64 place = lane; place < end; place += LANES) {
        sum += expf(scores[start + place] * scale + addend[place] - largest);
    }
    lanes[threadIdx.x] = sum;
    FOLD_ROW(lanes)
    float inverse = 1.0f / lanes[origin];
    for (u64 place = lane; place < end; place += LANES) {
        float weight = expf(scores[start + place] * scale + addend[place] - largest) * inverse;
        weights[start + place] = weight;
        if (dropped != weights) {
            dropped[start + place] = weight * factor(start + place, key, threshold, kept);
        }
    }
    BARRIER();
}

// The gradient of attention_weights by the scores, from that by the weights times the mask.
KERNEL void attention_weights_backward(const float *weights, const float *gradient, float *output,
                                       u64 rows, u64 width, float scale, u64 key, u32 threshold,
                                       float kept) {
    SHARED float lanes[THREADS];
    u32 lane = threadIdx.x % LANES;
    u64 row = FIRST / LANES;
    u64 start = row * width;
    u64 end = row < rows ? width : 0;
    float sum = 0.0f;
    for (u64 place = lane; place < end; place += LANES) {
        float g = gradient[start + place] * factor(start + place, key, threshold, kept);
        sum += weights[start + place] * g;
    }
    lanes[threadIdx.x] = sum;
    FOLD_ROW(lanes)
    sum = lanes[threadIdx.x - lane];
    for (u64 place = lane; place < end; place += LANES) {
        float g = gradient[start + place] * factor(start + place, key, threshold, kept);
        output[start + place] = scale * weights[start + place] * (g - sum);
    }
    BARRIER();
}

// The gradient of layer normalization by x, and the products g * n whose column sums are the
// gradient by the weight.
KERNEL void layer_norm_backward(const float *x, const float *weight, const float *gradient,
                                float *output, float *products, u64 rows, u64 width,
                                float epsilon) {
    SHARED float lanes[THREADS];
    u32 lane = threadIdx.x % LANES;
    u32 origin = threadIdx.x - lane;
    u64 row = FIRST / LANES;
    u64 start = row * width;
    u64 end = row < rows ? width : 0;
    float share = 1.0f / (float)width;
    float sum = 0.0f;
    for (u64 place = lane; place < end; place += LANES) sum += x[start + place];
    lanes[threadIdx.x] = sum;
    FOLD_ROW(lanes)
    float mean = lanes[origin] * share;
    ROW_BARRIER();
    sum = 0.0f;
    for (u64 place = lane; place < end; place += LANES) {
        float centered = x[start + place] - mean;
        sum += centered * centered;
    }
    lanes[threadIdx.x] = sum;
    FOLD_ROW(lanes)
    float inverse = 1.0f / sqrtf(lanes[origin] * share + epsilon);
    ROW_BARRIER();
    float along = 0.0f;
    sum = 0.0f;
    for (u64 place = lane; place < end; place += LANES) {
        float h = gradient[start + place] * weight[place];
        sum += h;
        along += h * (x[start + place] - mean) * inverse;
    }
    lanes[threadIdx.x] = sum;
    FOLD_ROW(lanes)
    sum = lanes[origin] * share;
    ROW_BARRIER();
    lanes[threadIdx.x] = along;
    FOLD_ROW(lanes)
    along = lanes[origin] * share;
    for (u64 place = lane; place < end; place += LANES) {
        float normal = (x[start + place] - mean) * inverse;
        float g = gradient[start + place];
        output[start + place] = (g * weight[place] - sum - normal * along) * inverse;
        products[start + place] = g * normal;
    }
    BARRIER();
}

// The gradient of a table's rows, over an output of zeros. Block (place, part of the columns): the
// block of the first place that has an id adds up all places with it, in their order.
KERNEL void embedding_backward(const u32 *ids, const float *gradient, float *output, u64 count,
                               u64 width) {
    SHARED u32 flags[THREADS];
    SHARED u32 places[THREADS];
    SHARED u32 known;
    u32 id = ids[blockIdx.x];
    u64 column = (u64)blockIdx.y * THREADS + threadIdx.x;
    if (threadIdx.x == 0) known = 0;
    BARRIER();
    for (u64 place = threadIdx.x; place < blockIdx.x; place += THREADS) {
        if (ids[place] == id) known = 1;
    }
    BARRIER();
    u64 first = known ? count : blockIdx.x;
    float sum = 0.0f;
    for (u64 start = first; start < count; start += THREADS) {
        u64 place = start + threadIdx.x;
        u32 found = 0, rank = 0;
        flags[threadIdx.x] = place < count && ids[place] == id;
        BARRIER();
        for (u32 other = 0; other < THREADS; other++) {
            rank += other < threadIdx.x ? flags[other] : 0;
            found += flags[other];
        }
        if (flags[threadIdx.x]) places[rank] = (u32)place;
        BARRIER();
        if (column < width) {
            for (u32 index = 0; index < found; index++) {
                sum += gradient[(u64)places[index] * width + column];
            }
        }
        BARRIER();
    }
    if (first < count && column < width) output[(u64)id * width + column] = sum;
    BARRIER();
}
