#version 330
// One fragment shader for everything in front of the wall; `kind` says what is painted.
// r is the place on the resting head, so that whatever is drawn on the skin moves with it.
in vec3 vp; in vec3 vn; in vec3 r; in float shade; in float layer; in float grown;
out vec4 result;
uniform int kind;
uniform vec3 key, camera;
uniform mat4 key_clip;
uniform sampler2D shadow;
uniform vec2 lips[12];
uniform vec2 brows[10];
uniform vec2 rims[14];  // upper lid, left to right, of either eye, then the middle of the lower
uniform vec3 eyes[2];
uniform vec4 lids;  // y of the upper lid of either eye, then of the lower
const int SKIN = 0, TEETH = 1, GUMS = 2, EYE = 3, CLOTH = 4, HAIR = 5, COLLAR = 6;

float hash(vec3 p) { p = fract(p * vec3(.1031, .1030, .0973)); p += dot(p, p.yxz + 33.33); return fract((p.x + p.y) * p.z); }
float noise(vec3 p) {
  vec3 i = floor(p), f = fract(p); f = f * f * (3. - 2. * f);
  return mix(mix(mix(hash(i), hash(i + vec3(1, 0, 0)), f.x), mix(hash(i + vec3(0, 1, 0)), hash(i + vec3(1, 1, 0)), f.x), f.y),
             mix(mix(hash(i + vec3(0, 0, 1)), hash(i + vec3(1, 0, 1)), f.x), mix(hash(i + vec3(0, 1, 1)), hash(i + vec3(1, 1, 1)), f.x), f.y), f.z);
}
float fbm(vec3 p) { return noise(p) * .5 + noise(p * 2.1 + 7.) * .27 + noise(p * 4.3 + 3.) * .15 + noise(p * 8.7) * .08; }

float segment(vec2 p, vec2 a, vec2 b) { vec2 d = b - a; return length(p - a - d * clamp(dot(p - a, d) / dot(d, d), 0., 1.)); }
float outside_lips(vec2 p) {  // signed distance to the outer lip line
  float far = 99.; bool inside = false;
  for (int i = 0, j = 11; i < 12; j = i++) {
    far = min(far, segment(p, lips[i], lips[j]));
    if ((lips[i].y > p.y) != (lips[j].y > p.y) && p.x < (lips[j].x - lips[i].x) * (p.y - lips[i].y) / (lips[j].y - lips[i].y) + lips[i].x) inside = !inside;
  }
  return inside ? -far : far;
}
float brow(vec2 p) {  // how much brow hair grows here
  float near = 99., along = 0.;
  for (int s = 0; s < 2; s++) for (int i = 0; i < 4; i++) {
    vec2 a = brows[s * 5 + i], b = brows[s * 5 + i + 1]; float d = segment(p, a, b);
    if (d < near) { near = d; along = (float(i) + clamp(dot(p - a, b - a) / dot(b - a, b - a), 0., 1.)) / 4.; if (s == 1) along = 1. - along; }
  }
  float wide = mix(.24, .5, smoothstep(0., .75, along));
  float hairs = noise(vec3(p.x * 5. + p.y * 6. * sign(p.x), p.y * 9. - abs(p.x) * 8., 1.));
  return smoothstep(wide, wide * .3, near + (hairs - .5) * .3) * mix(.65, 1., hairs) * smoothstep(1.08, .86, along);
}

float lashes(vec2 p) {  // the dark rim that lashes make, thick above and faint below
  float near = 99., low = 99.;
  for (int s = 0; s < 2; s++) {
    for (int i = 0; i < 3; i++) near = min(near, segment(p, rims[s * 7 + i], rims[s * 7 + i + 1]));
    low = min(low, segment(p, rims[s * 7 + 3], rims[s * 7 + 4])); low = min(low, segment(p, rims[s * 7 + 4], rims[s * 7 + 5])); low = min(low, segment(p, rims[s * 7 + 5], rims[s * 7 + 6]));
  }
  return max(smoothstep(.26, .10, near), smoothstep(.18, .05, low) * .4);
}

float lit_by_key(vec3 n) {
  vec4 c = key_clip * vec4(vp + n * .12, 1); vec3 at = c.xyz * .5 + .5; float sum = 0.;
  float spin = hash(r * 91.) * 6.28;
  for (int i = 0; i < 16; i++) {
    float a = spin + float(i) * 2.4; vec2 o = vec2(cos(a), sin(a)) * sqrt((float(i) + .5) / 16.) * .011;
    sum += at.z - .004 > texture(shadow, at.xy + o).r ? 0. : 1.;
  }
  return sum / 16.;
}
vec3 light_up(vec3 albedo, vec3 n, vec3 soft, float gloss, float power) {
  vec3 see = normalize(camera - vp); float open = lit_by_key(n);
  vec3 fill = normalize(vec3(-.8, .1, .7)), rim = normalize(vec3(-.75, .35, -.62));
  vec3 k = max((dot(n, key) + soft) / (1. + soft), 0.);
  vec3 sum = k * mix(vec3(.10, .03, .02), vec3(1), open) * vec3(2.05, 1.93, 1.78);
  sum += max((dot(n, fill) + soft) / (1. + soft), 0.) * vec3(.40, .46, .55);
  sum += mix(vec3(.20, .17, .15), vec3(.42, .44, .48), n.y * .5 + .5) * shade;
  vec3 h = normalize(key + see), h2 = normalize(fill + see);
  float rise = .04 + .96 * pow(1. - max(dot(n, see), 0.), 5.);
  float spec = pow(max(dot(n, h), 0.), power) * open * 2. + pow(max(dot(n, h2), 0.), power) * .35;
  return albedo * sum * mix(.45, 1., shade) + gloss * spec * (rise * 4. + .2) + max(dot(n, rim), 0.) * rise * vec3(.8, .85, .95) * .5;
}
vec3 bump(vec3 n, float scale, float depth) {
  vec2 e = vec2(.02, 0); float here = fbm(r * scale);
  vec3 g = vec3(fbm((r + e.xyy) * scale) - here, fbm((r + e.yxy) * scale) - here, fbm((r + e.yyx) * scale) - here) / .02;
  return normalize(n - (g - dot(g, n) * n) * depth);
}

vec3 skin(vec3 n) {
  if (r.y < -12.6 - 3.4 * smoothstep(-1., 4., r.z)) discard;  // under the clothes
  vec3 c = vec3(.585, .345, .25) * mix(.86, 1.1, fbm(r * .9)) * mix(.94, 1.05, fbm(r * 7.));
  float front = smoothstep(3., 8., r.z);
  c *= mix(vec3(1), vec3(1.04, .84, .82), front * exp(-dot((vec2(abs(r.x), r.y) - vec2(4.6, -.3)) / vec2(2.6, 2.2), (vec2(abs(r.x), r.y) - vec2(4.6, -.3)) / vec2(2.6, 2.2))));
  c *= mix(vec3(1), vec3(1.03, .83, .8), front * exp(-dot((r.xy - vec2(0, .2)) / vec2(1.7, 1.7), (r.xy - vec2(0, .2)) / vec2(1.7, 1.7))));
  c *= mix(vec3(1), vec3(1.02, .80, .76), smoothstep(7.6, 8.6, abs(r.x)) * smoothstep(6., 4., r.y));  // ears
  vec2 under = (vec2(abs(r.x), r.y) - vec2(3.1, 2.6)) / vec2(1.6, .8);
  c *= mix(vec3(1), vec3(.84, .76, .80), front * exp(-dot(under, under)));
  float edge = outside_lips(r.xy);
  float beard = smoothstep(-1.2, -2.6, r.y - .13 * abs(r.x)) * smoothstep(-9.5, -7.5, r.y) * smoothstep(1.5, 5., r.z) * smoothstep(.0, .45, edge);
  beard *= smoothstep(5.2, 4.2, abs(abs(r.x) - 0.) + (r.y + 2.) * .9 - 1.) * .5 + .5;
  c *= mix(vec3(1), vec3(.66, .67, .71) * mix(.8, 1.12, hash(floor(r * 13.))), beard * .6);
  float mouth = smoothstep(.14, -.22, edge + (fbm(r * 3.) - .5) * .16) * smoothstep(8.2, 9.2, r.z);
  c = mix(c, vec3(.42, .165, .145) * mix(.85, 1.12, noise(vec3(r.x * 9., r.y * 2., 0.))), mouth * .85);
  c = mix(c, vec3(.05, .03, .022), smoothstep(.25, .6, grown) * .95);
  float b = brow(r.xy) * smoothstep(5., 6.5, r.z);
  c = mix(c, vec3(.050, .030, .020), b);
  c *= mix(vec3(1), vec3(.10, .08, .07), lashes(r.xy) * smoothstep(6., 7.5, r.z));
  n = bump(n, 5., mix(.022, .006, mouth)); n = bump(n, 1.3, .03);
  return light_up(c, n, vec3(.32, .14, .09), mix(mix(.10, .22, mouth), .03, b) * mix(.6, 1.2, fbm(r * 2.)) * mix(.75, 1.5, exp(-abs(r.x) * .5) * step(-2., r.y)), mix(26., 44., mouth));
}
vec3 eye(vec3 n) {
  int side = r.x > 0. ? 0 : 1; vec3 d = normalize(r - eyes[side]); float a = acos(clamp(d.z, -1., 1.));
  float turn = atan(d.y, d.x), iris = smoothstep(.475, .445, a);
  vec3 white = vec3(.66, .60, .57) * mix(vec3(1), vec3(1, .8, .76), smoothstep(.45, 1.2, abs(d.x)) * .6);
  float veins = smoothstep(.62, .75, fbm(vec3(d.xy * 7., 2.))); white *= mix(vec3(1), vec3(1, .86, .84), veins * .4);
  vec3 fibre = mix(vec3(.075, .13, .15), vec3(.20, .235, .20), noise(vec3(turn * 14., a * 5., 4.))) * mix(1., 1.6, smoothstep(.32, .2, a));
  fibre = mix(fibre, vec3(.02, .028, .035), smoothstep(.37, .46, a)); fibre *= smoothstep(.155, .19, a);
  vec3 c = mix(white, fibre, iris);
  float top = lids[side], low = lids[side + 2];
  float cover = smoothstep(.0, .62, top - vp.y) * smoothstep(-.12, .3, vp.y - low); c *= mix(.22, 1., cover); c = mix(vec3(.16, .07, .05), c, smoothstep(.12, .42, top - low));
  vec3 see = normalize(camera - vp); vec3 glint = normalize(normalize(key + vec3(.0, .1, .35)) + see);
  vec3 col = c * (lit_by_key(n) * max(dot(n, key) + .3, 0.) * 1.05 + .42);
  return col + pow(max(dot(n, glint), 0.), 500.) * 1.6 * cover + pow(max(dot(n, normalize(vec3(-.5, .1, .8) + see)), 0.), 220.) * .12 * cover;
}
vec3 hair(vec3 n) {
  vec3 d = normalize(r - vec3(0, 3.5, .5)); float polar = acos(clamp(d.y, -1., 1.));
  vec2 at = polar * normalize(d.xz + 1e-4) * 9.;
  float clump = noise(vec3(at * .5, 2.)); at += (vec2(noise(vec3(at * .6, 5.)), noise(vec3(at * .6, 9.))) - .5) * 1.1;
  vec2 cell = at * 5.2; vec2 id = floor(cell); vec2 o = fract(cell) - .5;
  float h = hash(vec3(id, 3.)); o -= (vec2(hash(vec3(id, 7.)), hash(vec3(id, 8.))) - .5) * .5;
  float tall = mix(.45, 1., h) * mix(.7, 1.05, clump) * smoothstep(.02, .5, shade);
  if (layer > 0. && (layer > tall || length(o) > .62 * (1. - .6 * layer / tall))) discard;
  if (hash(vec3(id, 17.)) > smoothstep(.02, .42, shade)) discard;  // thin at the hair line
  vec3 c = mix(vec3(.020, .012, .008), vec3(.066, .038, .023), h * .6 + clump * .4) * mix(.35, 1.15, layer / max(tall, .1));
  vec3 t = normalize(cross(n, vec3(.9, .1, .35)) + n * .5); vec3 see = normalize(camera - vp);
  float th = dot(t, normalize(key + see)); float shine = pow(sqrt(max(1. - th * th, 0.)), 40.) * max(dot(n, key) + .2, 0.);
  float open = mix(.35, 1., lit_by_key(n));
  vec3 back = normalize(vec3(-.75, .35, -.62));
  return c * (max(dot(n, key) * .7 + .4, 0.) * 2.2 * open + .5) + shine * open * vec3(.10, .075, .055) * mix(.3, 1., h) + max(dot(n, back), 0.) * vec3(.03);
}
vec3 cloth(vec3 n, vec3 c, float ribs) {  // r is (around, down, 0) in stitches here
  vec2 f = fract(r.xy * vec2(1, 1)) - .5; float v = abs(f.x);
  float knit = kind == CLOTH ? .5 + .5 * cos(6.283 * (r.y + v * .9)) : .5 + .5 * cos(6.283 * r.x * .5);
  c *= mix(.62, 1.08, knit) * mix(.88, 1.08, fbm(r * .12)) * mix(.9, 1.06, hash(floor(r)));
  return light_up(c, n, vec3(.18), .012, 9.) ;
}

void main() {
  vec3 n = normalize(vn); if (kind != HAIR && !gl_FrontFacing) n = -n;
  vec3 c = vec3(1, 0, 1); float deep = smoothstep(8.1, 10.6, r.z);
  if (kind == SKIN) c = skin(n);
  else if (kind == TEETH) c = light_up(vec3(.52, .47, .39), n, vec3(.2), .05, 60.) * mix(.05, 1., deep) * smoothstep(2.4, 1.1, abs(r.x));
  else if (kind == GUMS) c = light_up(vec3(.30, .09, .085), n, vec3(.2), .03, 40.) * mix(.02, 1., smoothstep(7.4, 10.8, r.z) * smoothstep(-.9, -2.6, r.y));
  else if (kind == EYE) c = eye(n);
  else if (kind == CLOTH) c = cloth(n, vec3(.055, .105, .155), 0.);
  else if (kind == COLLAR) c = cloth(n, vec3(.050, .095, .140), 1.);
  else if (kind == HAIR) c = hair(n);
  c *= .92; c = c * (2.51 * c + .03) / (c * (2.43 * c + .59) + .14);  // a film's shoulder and toe
  result = vec4(pow(clamp(c, 0., 1.), vec3(1. / 2.2)), 1);
}
